package start

import "testing"

func TestKeptAs(t *testing.T) {
	for text, want := range map[string]string{"": "", ":uid=200,gid=210": "200:210", ":gid=210": "1000:210", ":uid=0": "0:1001", ":gid=5,uid=6": "6:5"} {
		if got, err := keptAs(text, 1000, 1001); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{":", ":uid", ":uid=", ":uid=-1", ":uid=4294967296", ":uid=x", ":user=5", ":uid=5,", ":uid=5:gid=5"} {
		if got, err := keptAs(bad, 1000, 1001); err == nil {
			t.Errorf("%q is taken: %q", bad, got)
		}
	}
}

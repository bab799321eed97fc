package content

import (
	"os"
	"path/filepath"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestContent copies by each of the means there are.
func TestContent(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	must(t, os.WriteFile(from, []byte("begin"), 0o644))
	f, err := os.OpenFile(from, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("middle"), 8<<20)
	must(t, err)
	must(t, f.Truncate(16<<20))
	must(t, f.Close())
	want, err := os.ReadFile(from)
	must(t, err)
	for _, c := range []*Copier{{}, {noClone: true}, {noClone: true, noRange: true}} {
		to := filepath.Join(t.TempDir(), "to")
		source, err := os.Open(from)
		must(t, err)
		target, err := os.Create(to)
		must(t, err)
		err = c.Copy(int(source.Fd()), int(target.Fd()), int64(len(want)))
		source.Close()
		target.Close()
		must(t, err)
		if got, err := os.ReadFile(to); err != nil || string(got) != string(want) {
			t.Errorf("%+v: the copy differs: %d bytes of %d, %v", c, len(got), len(want), err)
		}
	}
}

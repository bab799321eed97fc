package container

import "testing"

func TestDetachKeys(t *testing.T) {
	for text, want := range map[string]string{"": "", "ctrl-p,ctrl-q": "\x10\x11", "a": "a", "ctrl-@": "\x00", "CTRL-A,b": "\x01b", "ctrl-[": "\x1b"} {
		if got, err := DetachKeys(text); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"ctrl-", "ctrl-1", "ab", ",", "ctrl-p,"} {
		if got, err := DetachKeys(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

// What is typed gets through but for the keys, wherever it is cut.
func TestKeyFilter(t *testing.T) {
	for _, test := range []struct {
		typed string
		want  string
		leave bool
	}{{"hello", "hello", false}, {"a\x10\x11b", "a", true}, {"\x10x", "\x10x", false}, {"\x10\x10\x11", "\x10", true}, {"\x11", "\x11", false}, {"x\x10", "x", false}} {
		for cut := range len(test.typed) + 1 {
			f := &KeyFilter{Keys: []byte("\x10\x11")}
			var got []byte
			leave := false
			for _, part := range []string{test.typed[:cut], test.typed[cut:]} {
				if !leave {
					var text []byte
					text, leave = f.Pass([]byte(part))
					got = append(got, text...)
				}
			}
			if string(got) != test.want || leave != test.leave {
				t.Errorf("%q cut at %d: %q, %v, want %q, %v", test.typed, cut, got, leave, test.want, test.leave)
			}
		}
	}
}

package start

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"containers/rl/container"
)

// What another process has said is not said again, and hides nothing else.
func TestFail(t *testing.T) {
	exit, port, same := container.Exit{Code: 125}, errors.New("port in use"), errors.New("port in use")
	for name, test := range map[string]struct {
		err  error
		code int
		said string
	}{
		"nothing":        {nil, 0, ""},
		"a program's":    {container.Exit{Code: 3}, 3, ""},
		"ours":           {port, 125, "Error: port in use\n"},
		"said":           {fmt.Errorf("starting: %w", exit), 125, ""},
		"one of two":     {errors.Join(port, exit), 125, "Error: port in use\n"},
		"one of several": {errors.Join(exit, errors.Join(exit, port, nil), same), 125, "Error: port in use\n"},
		"all of them":    {errors.Join(exit, errors.Join(exit)), 125, ""},
	} {
		var b strings.Builder
		if code := Fail(&b, test.err); code != test.code || b.String() != test.said {
			t.Errorf("%s: %d, %q, want %d, %q", name, code, b.String(), test.code, test.said)
		}
	}
}

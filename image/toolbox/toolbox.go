package toolbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// binaryName is the file in /bin that every applet links to.
const binaryName = "rl-toolbox"

// stdio is what an applet reads and writes. Applets get files rather than
// plain readers because some must know whether they face a terminal.
type stdio struct {
	in       *os.File
	out, err io.Writer
}

// applet is one tool: args are the words after its name.
type applet func(std stdio, args []string) error

// Main runs the applet named by argv[0], or by argv[1] when argv[0] is the
// toolbox itself, and returns its exit code.
func Main(argv []string) int {
	name, args := appletName(argv)
	std := stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	if name == "" {
		for _, a := range Applets() {
			fmt.Fprintln(std.out, a)
		}
		return 0
	}
	if name == "sh" {
		return shellMain(std, args)
	}
	run := lookup(name)
	if run == nil {
		fmt.Fprintf(std.err, "%s: applet not found\n", name)
		return 127
	}
	return exitCode(std, name, run(std, args))
}

// Has reports whether name (a path is fine) is an applet or the toolbox.
func Has(name string) bool {
	base := filepath.Base(name)
	return isToolbox(base) || base == "sh" || lookup(base) != nil
}

func isToolbox(base string) bool { return base == "toolbox" || base == binaryName }

// appletName finds the applet's name and its arguments. A login shell is
// called with a dash before its name.
func appletName(argv []string) (string, []string) {
	if len(argv) == 0 {
		return "", nil
	}
	base := filepath.Base(argv[0])
	if isToolbox(base) {
		if len(argv) == 1 {
			return "", nil
		}
		return filepath.Base(argv[1]), argv[2:]
	}
	if len(base) > 1 && base[0] == '-' {
		base = base[1:]
	}
	return base, argv[1:]
}

// status is an applet's exit code when it says nothing more than that.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usageError is answered with exit code 2, as grep and test must, or 1.
type usageError string

func (u usageError) Error() string { return "usage: " + string(u) }

// exitCode prints err the way tools do and turns it into an exit code. A
// reader that went away (`seq 1000000 | head -1`) is no failure worth a line.
func exitCode(std stdio, name string, err error) int {
	var st status
	switch {
	case err == nil:
		return 0
	case errors.As(err, &st):
		return int(st)
	case errors.Is(err, unix.EPIPE):
		return 128 + int(unix.SIGPIPE)
	}
	fmt.Fprintf(std.err, "%s: %v\n", name, err)
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

// Applets lists the tools' names in order.
func Applets() []string {
	names := []string{"sh"}
	for _, row := range table() {
		names = append(names, row.name)
	}
	slices.Sort(names)
	return names
}

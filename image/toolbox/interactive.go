package toolbox

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// interactive reads statements from the terminal, whose line editing is the
// kernel's. An interrupt ends the statement and not the shell.
func (sh *shell) interactive() int {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, unix.SIGINT)
	defer signal.Stop(interrupts)
	code := 0
	sh.prompt("$ ")
	for stmts, err := range sh.parser.InteractiveSeq(sh.std.in) {
		if err != nil {
			fmt.Fprintf(sh.std.err, "sh: %v\n", err)
			return 2
		}
		if sh.parser.Incomplete() {
			sh.prompt("> ")
			continue
		}
		for _, stmt := range stmts {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() {
				select {
				case <-interrupts:
					cancel()
				case <-done:
				}
			}()
			code = sh.code(ctx, sh.runner.Run(ctx, stmt))
			close(done)
			cancel()
			if sh.runner.Exited() {
				return code
			}
		}
		sh.prompt("$ ")
	}
	return code
}

func (sh *shell) prompt(text string) {
	if os.Geteuid() == 0 && text == "$ " {
		text = "# "
	}
	fmt.Fprint(sh.std.err, text)
}

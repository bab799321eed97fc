package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"containers/rl/container"
	"containers/rl/userns"
)

// Version is rl's own.
const Version = "0.1.0"

// Command is one row of the table: what help, the man page and completion are
// made from.
type Command struct {
	Name, Args, Short string
	// Flags declares the flags and returns what runs once they are parsed.
	Flags func(*pflag.FlagSet) func(Streams, []string) error
}

// Streams are the standard streams of a command.
type Streams struct {
	In       *os.File
	Out, Err *os.File
}

// Commands in the order of help.
func Commands() []Command {
	return []Command{
		{"run", "[FLAGS] IMAGE [COMMAND [ARG...]]", "Run a command in a new container", runFlags},
		{"pull", "[FLAGS] IMAGE...", "Download images", pullFlags},
		{"images", "[FLAGS]", "List images", imagesFlags},
		{"rmi", "[FLAGS] IMAGE...", "Remove images", rmiFlags},
		{"doctor", "", "Show what this host has, lacks, and how to mend it", doctorFlags},
		{"version", "", "Show the version", versionFlags},
		{"completion", "bash", "Print a shell completion script", completionFlags},
		{"man", "", "Print the manual page", manFlags},
		{"help", "[COMMAND]", "Show help", helpFlags},
	}
}

func find(name string) (Command, bool) {
	for _, c := range Commands() {
		if c.Name == name {
			return c, true
		}
	}
	return Command{}, false
}

// usageError is a mistake in the command line.
type usageError struct{ text, command string }

func (e usageError) Error() string { return e.text }

// Main runs the command line and returns the exit status.
func Main(args []string, s Streams) int {
	if len(args) == 0 {
		args = []string{"help"}
	}
	if args[0] == "--version" || args[0] == "-v" {
		args[0] = "version"
	}
	if args[0] == "--help" || args[0] == "-h" {
		args[0] = "help"
	}
	c, ok := find(args[0])
	if !ok {
		return fail(s.Err, usageError{fmt.Sprintf("unknown command %q", args[0]), ""})
	}
	flags := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
	flags.SetInterspersed(c.Name != "run")
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	run := c.Flags(flags)
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, pflag.ErrHelp):
		usage(s.Out, c, flags)
		return 0
	case err != nil:
		return fail(s.Err, usageError{err.Error(), c.Name})
	}
	return fail(s.Err, run(s, flags.Args()))
}

func usage(w io.Writer, c Command, flags *pflag.FlagSet) {
	fmt.Fprintf(w, "Usage: rl %s %s\n\n%s\n", c.Name, c.Args, c.Short)
	if text := flags.FlagUsages(); text != "" {
		fmt.Fprintf(w, "\nFlags:\n%s", text)
	}
}

// fail prints an error and its hints, and gives its exit code.
func fail(w io.Writer, err error) int {
	var exit container.Exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	}
	fmt.Fprintf(w, "rl: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nrl: "))
	for _, hint := range hints(err) {
		fmt.Fprintf(w, "rl: hint: %s\n", hint)
	}
	return exitCode(err)
}

func hints(err error) []string {
	var bad usageError
	if errors.As(err, &bad) {
		return []string{strings.TrimSpace("rl help " + bad.command)}
	}
	return userns.Explain(err)
}

// exitCode: only the step that executes the program tells 126 and 127.
func exitCode(err error) int {
	var step *userns.StepError
	if errors.As(err, &step) && strings.HasPrefix(step.Op, "exec") {
		if step.Err == syscall.ENOENT {
			return 127
		}
		return 126
	}
	return 125
}

package cli

import (
	"errors"
	"fmt"
	"io"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
)

// The command line's streams and mistakes are those of package start.
type (
	Streams    = start.Streams
	usageError = start.UsageError
)

// Command is one row of the table: what help, the man page and completion are
// made from.
type Command struct {
	Name, Args, Short string
	// Flags declares the flags and returns what runs once they are parsed.
	Flags func(*flags.Set) func(Streams, []string) error
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
		return start.Fail(s.Err, usageError{Text: fmt.Sprintf("unknown command %q", args[0])})
	}
	set := flags.New(c.Name)
	set.SetInterspersed(c.Name != "run")
	run := c.Flags(set)
	switch err := set.Parse(args[1:]); {
	case errors.Is(err, flags.ErrHelp):
		usage(s.Out, c, set)
		return 0
	case err != nil:
		return start.Fail(s.Err, usageError{Text: err.Error(), Command: c.Name})
	}
	return start.Fail(s.Err, run(s, set.Args()))
}

func usage(w io.Writer, c Command, set *flags.Set) {
	fmt.Fprintf(w, "Usage: rl %s %s\n\n%s\n", c.Name, c.Args, c.Short)
	if text := set.Usage(); text != "" {
		fmt.Fprintf(w, "\nFlags:\n%s", text)
	}
}

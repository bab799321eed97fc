package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

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
		{"exec", "[FLAGS] CONTAINER COMMAND [ARG...]", "Run a command in a container that runs", execFlags},
		{"attach", "[FLAGS] CONTAINER", "Join the streams of a container that runs", attachFlags},
		{"create", "[FLAGS] IMAGE [COMMAND [ARG...]]", "Make a container without starting it", createFlags},
		{"start", "[FLAGS] CONTAINER...", "Start containers that were made before", startFlags},
		{"stop", "[FLAGS] CONTAINER...", "Stop containers", stopFlags},
		{"restart", "[FLAGS] CONTAINER...", "Stop containers and start them again", restartFlags},
		{"kill", "[FLAGS] CONTAINER...", "Send a signal to containers", killFlags},
		{"wait", "CONTAINER...", "Wait until containers end, and print their status", waitFlags},
		{"rm", "[FLAGS] CONTAINER...", "Remove containers", rmFlags},
		{"ps", "[FLAGS]", "List containers", psFlags},
		{"port", "[FLAGS] CONTAINER [PORT[/PROTOCOL]]", "List the published ports of a container", portFlags},
		{"cp", "[FLAGS] CONTAINER:PATH|PATH|- CONTAINER:PATH|PATH|-", "Copy files into and out of containers", cpFlags},
		{"diff", "[FLAGS] CONTAINER", "List what a container changed of its image's files", diffFlags},
		{"commit", "[FLAGS] CONTAINER [IMAGE]", "Make an image of a container's changes", commitFlags},
		{"export", "[FLAGS] CONTAINER", "Write a container's files as an archive", exportFlags},
		{"top", "CONTAINER [COLUMN...]", "List the processes of a container", topFlags},
		{"stats", "[FLAGS] [CONTAINER...]", "Show what containers use", statsFlags},
		{"events", "[FLAGS]", "Show what happens to containers", eventsFlags},
		{"pause", "[FLAGS] CONTAINER...", "Stop all processes of containers for a while", pauseFlags},
		{"unpause", "[FLAGS] CONTAINER...", "Let them go on", unpauseFlags},
		{"rename", "CONTAINER NAME", "Give a container another name", renameFlags},
		{"logs", "[FLAGS] CONTAINER", "Show what a container wrote", logsFlags},
		{"inspect", "[FLAGS] CONTAINER|IMAGE...", "Show all that is known of containers and images", inspectFlags},
		{"pull", "[FLAGS] IMAGE...", "Download images", pullFlags},
		{"images", "[FLAGS]", "List images", imagesFlags},
		{"load", "[FLAGS]", "Take images from an archive", loadFlags},
		{"tag", "IMAGE NAME...", "Give an image more names", tagFlags},
		{"untag", "IMAGE [NAME...]", "Take names from an image", untagFlags},
		{"rmi", "[FLAGS] IMAGE...", "Remove images", rmiFlags},
		{"container exists", "CONTAINER", "Tell by the status whether a container is there", existsFlags},
		{"container prune", "[FLAGS]", "Remove all containers that do not run", pruneFlags},
		{"healthcheck run", "CONTAINER", "Check a container's health once", healthcheckFlags},
		{"image exists", "IMAGE", "Tell by the status whether an image is there", imageExistsFlags},
		{"image prune", "[FLAGS]", "Remove images that are of no use", imagePruneFlags},
		{"system prune", "[FLAGS]", "Remove containers and images that are of no use", systemPruneFlags},
		{"generate systemd", "[FLAGS] CONTAINER", "Print a unit that starts a container at boot", generateFlags},
		{"unshare", "[COMMAND [ARG...]]", "Run a command in the user namespace of rl's files", unshareFlags},
		{"info", "[FLAGS]", "Show what rl works with, for programs", infoFlags},
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
	args = ungroup(args)
	c, ok := find(args[0])
	if !ok {
		return start.Fail(s.Err, usageError{Text: fmt.Sprintf("unknown command %q", strings.Join(args[:min(2, len(args))], " "))})
	}
	set := flags.New(c.Name)
	set.SetInterspersed(c.Name != "run" && c.Name != "create" && c.Name != "exec" && c.Name != "unshare")
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

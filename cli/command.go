package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/self"
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
	return slices.Concat(containerCommands(), fileCommands(), hostCommands(), imageCommands(), podCommands(), rareCommands())
}

// containerCommands are those that docker has for containers.
func containerCommands() []Command {
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
		{"diff", "[FLAGS] CONTAINER|IMAGE [IMAGE]", "List what a container, or an image's last layer, changed of what is below", diffFlags},
		{"commit", "[FLAGS] CONTAINER [IMAGE]", "Make an image of a container's changes", commitFlags},
		{"export", "[FLAGS] CONTAINER", "Write a container's files as an archive", exportFlags},
		{"top", "[FLAGS] CONTAINER [COLUMN...|PS-OPTION...]", "List the processes of a container", topFlags},
		{"stats", "[FLAGS] [CONTAINER...]", "Show what containers use", statsFlags},
		{"events", "[FLAGS]", "Show what happens to containers", eventsFlags},
		{"pause", "[FLAGS] CONTAINER...", "Stop all processes of containers for a while", pauseFlags},
		{"unpause", "[FLAGS] CONTAINER...", "Let them go on", unpauseFlags},
		{"update", "[FLAGS] CONTAINER...", "Change limits and the restart policy of containers", updateFlags},
		{"rename", "CONTAINER NAME", "Give a container another name", renameFlags},
		{"logs", "[FLAGS] CONTAINER", "Show what a container wrote", logsFlags},
		{"inspect", "[FLAGS] CONTAINER|IMAGE...", "Show all that is known of containers and images", inspectFlags},
		{"container exists", "CONTAINER", "Tell by the status whether a container is there", existsFlags},
		{"container clone", "[FLAGS] CONTAINER [NAME [IMAGE]]", "Make a container like another one", cloneFlags},
		{"container prune", "[FLAGS]", "Remove all containers that do not run", pruneFlags},
	}
}

// fileCommands concern what is kept: mounts, secrets, volumes.
func fileCommands() []Command {
	return []Command{
		{"mount", "[FLAGS] [CONTAINER...]", "Mount containers' files, inside of rl unshare", mountFlags},
		{"umount", "[FLAGS] CONTAINER...", "Unmount containers' files", umountFlags},
		{"unmount", "[FLAGS] CONTAINER...", "The same as umount", umountFlags},
		{"image mount", "[FLAGS] [IMAGE...]", "Mount images' files, inside of rl unshare", imageMountFlags},
		{"image umount", "[FLAGS] IMAGE...", "Unmount images' files", imageUmountFlags},
		{"volume mount", "VOLUME...", "Mount volumes, inside of rl unshare", volumeMountFlags},
		{"volume umount", "VOLUME...", "Unmount volumes", volumeUmountFlags},
		{"secret create", "[FLAGS] NAME FILE|-", "Keep a secret for containers", secretCreateFlags},
		{"secret ls", "[FLAGS]", "List secrets", secretListFlags},
		{"secret inspect", "[FLAGS] SECRET...", "Show what is known of secrets, but for their data", secretInspectFlags},
		{"secret rm", "[FLAGS] SECRET...", "Remove secrets", secretRemoveFlags},
		{"secret exists", "SECRET", "Tell by the status whether a secret is there", secretExistsFlags},
		{"volume create", "[FLAGS] [NAME]", "Make a volume", volumeCreateFlags},
		{"volume ls", "[FLAGS]", "List volumes", volumeListFlags},
		{"volume inspect", "[FLAGS] VOLUME...", "Show all that is known of volumes", volumeInspectFlags},
		{"volume rm", "[FLAGS] VOLUME...", "Remove volumes", volumeRemoveFlags},
		{"volume prune", "[FLAGS]", "Remove all volumes that no container has", volumePruneFlags},
		{"volume exists", "VOLUME", "Tell by the status whether a volume is there", volumeExistsFlags},
		{"volume export", "[FLAGS] VOLUME", "Write a volume's files as an archive", volumeExportFlags},
		{"volume import", "VOLUME [ARCHIVE]", "Put the files of an archive into a volume", volumeImportFlags},
		{"volume reload", "", "Look for volumes of plugins: there are none", volumeReloadFlags},
	}
}

// hostCommands are the rest: health, networks, units of systemd, and what concerns rl and the host.
func hostCommands() []Command {
	return []Command{
		{"healthcheck run", "CONTAINER", "Check a container's health once", healthcheckFlags},
		{"network create", "[FLAGS] [NAME]", "Make a network that containers share", networkCreateFlags},
		{"network exists", "NETWORK", "Tell by the status whether a network is there", networkExistsFlags},
		{"network inspect", "[FLAGS] NETWORK...", "Show all that is known of networks", networkInspectFlags},
		{"network ls", "[FLAGS]", "List networks", networkLsFlags},
		{"network prune", "[FLAGS]", "Remove networks that no container is in", networkPruneFlags},
		{"network reload", "[FLAGS] CONTAINER...", "Accepted for podman's sake: no firewall has rules for rl", networkReloadFlags},
		{"network rm", "[FLAGS] NETWORK...", "Remove networks", networkRmFlags},
		{"generate systemd", "[FLAGS] CONTAINER|POD", "Print units of systemd that start a container or a pod", generateFlags},
		{"generate quadlet", "[FLAGS] [DIR]", "Write units of systemd for Quadlet's files .container, .volume and .network", quadletFlags},
		{"unshare", "[COMMAND [ARG...]]", "Run a command in the user namespace of rl's files", unshareFlags},
		{"info", "[FLAGS]", "Show what rl works with, for programs", infoFlags},
		{"doctor", "", "Show what this host has, lacks, and how to mend it", doctorFlags},
		{"version", "[FLAGS]", "Show the version", versionFlags},
		{"completion", "[FLAGS] {bash|zsh|fish}", "Print a shell completion script", completionFlags},
		{"man", "", "Print the manual page", manFlags},
		{"help", "[COMMAND]", "Show help", helpFlags},
	}
}

func find(name string) (Command, bool) {
	if name == "__complete" {
		return Command{name, "", "", completeFlags}, true // of the shells alone
	}
	for _, c := range Commands() {
		if c.Name == name {
			return c, true
		}
	}
	return Command{}, false
}

// Main runs the command line and returns the exit status.
func Main(args []string, s Streams) int {
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		g, rest, err := globals(args)
		switch {
		case errors.Is(err, flags.ErrHelp):
			args = []string{"help"}
		case err != nil:
			return start.Fail(s.Err, usageError{Text: err.Error()})
		case g.version:
			fmt.Fprintln(s.Out, "rl version "+self.Version)
			return 0
		default:
			args = rest
		}
		if g.quiet {
			if s.Out, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
				return start.Fail(s.Err, err)
			}
		}
	}
	c, typed, words, err := resolve(args)
	if err != nil {
		if errors.As(err, new(*missingCommand)) {
			_ = groupHelp(s.Out, typed)
		}
		return start.Fail(s.Err, err)
	}
	return c.run(s, typed, words)
}

func (c Command) run(s Streams, typed string, words []string) int {
	set := flags.New(c.Name)
	set.SetInterspersed(c.Name != "run" && c.Name != "create" && c.Name != "exec" && c.Name != "top" && c.Name != "pod top" && c.Name != "unshare" && c.Name != "__complete")
	run := c.Flags(set)
	switch err := set.Parse(words); {
	case errors.Is(err, flags.ErrHelp):
		usage(s.Out, c, typed, set)
		return 0
	case err != nil:
		return start.Fail(s.Err, usageError{Text: err.Error(), Command: typed})
	}
	return start.Fail(s.Err, run(s, set.Args()))
}

// missingCommand is a group, or rl itself, without a word for what to do.
type missingCommand struct{ typed string }

func (e *missingCommand) Error() string {
	return fmt.Sprintf("missing command '%s COMMAND'", strings.TrimSpace("rl "+e.typed))
}

// resolve finds the command, what was typed for it, and what follows that.
func resolve(args []string) (c Command, typed string, words []string, err error) {
	if len(args) == 0 {
		return c, "", nil, &missingCommand{}
	}
	typed, words = args[0], ungroup(args)
	if groupOf(args[0]) != nil {
		if len(args) == 1 {
			return c, typed, nil, &missingCommand{typed}
		}
		if args[1] == "--help" || args[1] == "-h" {
			words = []string{"help", args[0]}
		} else {
			typed += " " + args[1]
		}
	}
	c, ok := find(words[0])
	if !ok {
		return c, typed, nil, unrecognized(typed)
	}
	return c, typed, words[1:], nil
}

func unrecognized(typed string) error {
	group, _, _ := strings.Cut(typed, " ")
	if groupOf(group) == nil {
		group = ""
	}
	return usageError{Text: fmt.Sprintf("unrecognized command `rl %s`", typed), Command: group}
}

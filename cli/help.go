package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"containers/rl/cli/flags"
)

// groupTexts say what a group is for.
var groupTexts = map[string]string{
	"container": "Manage containers", "image": "Manage images", "system": "Manage rl itself", "healthcheck": "Manage health checks of containers",
	"generate": "Generate files for other programs", "volume": "Manage volumes", "network": "Manage networks", "pod": "Manage pods", "secret": "Manage secrets",
	"manifest": "Manage lists of images",
}

// examples are what most people want of a command.
func examples() map[string][]string {
	return map[string][]string{
		"run":              {"run --rm -it alpine sh", "run -d --name web -p 8080:80 nginx", `run --rm -v "$PWD:/src" -w /src golang go test ./...`},
		"ps":               {"ps -a", `ps -a --format "{{.ID}}  {{.Image}}  {{.Labels}}  {{.Mounts}}"`, "ps --size --sort names"},
		"stop":             {"stop web", "stop --time 2 web", "stop --all"},
		"rm":               {"rm web", "rm --force --all", "rm -f 860a4b23"},
		"wait":             {"wait web", "wait --condition=healthy web"},
		"exec":             {"exec -it web sh", "exec -u root web id"},
		"top":              {"top web", "top web pid seccomp args %C", "top --latest"},
		"events":           {"events --since 5m", "events --filter event=create --format json"},
		"update":           {"update --memory 256m --pids-limit 100 web", "update --restart always web"},
		"generate quadlet": {"generate quadlet && systemctl --user daemon-reload", "generate quadlet --dryrun"},
		"generate systemd": {"generate systemd --name --files web", "generate systemd --new --name web"},
	}
}

// remarks are what its line does not say of a command.
func remarks() map[string][]string {
	return map[string][]string{
		"container clone": {
			"",
			"It is made with the same flags and, unless another is named, of the same image.",
			"What was written to its files is not copied: rl commit makes an image of that.",
			"Volumes with a name are shared; those without are the clone's own, and empty.",
			"Ports are the same, so only one of both runs at a time, but for --destroy.",
		},
		"events": {
			"",
			"container: attach, cleanup, commit, copy, create, detach, died, exec, exec_detach,",
			"  exec_died, export, health_status, init, kill, mount, oom, pause, prune, remove,",
			"  rename, restart, start, stop, unmount, unpause, update",
			"image: import, loadfromarchive, mount, prune, pull, pull-error, push, remove, save,",
			"  tag, unmount, untag",
			"network: create, prune, remove    secret: create, remove    volume: create, prune, remove",
			"pod: create, kill, pause, remove, start, stop, unpause    system: renumber",
			"docker's words are understood by --filter: die, destroy, delete, exec_start, ...",
		},
		"pod clone": {
			"",
			"Its containers are cloned as by rl container clone, and join the clone's",
			"namespaces. With --destroy the pod is stopped and removed before the clone starts.",
		},
		"container runlabel": {
			"",
			"The command runs as you, outside of any container: use it for images that you",
			"trust, and look at it before with --display. Its first word, podman or docker, is rl;",
			"other programs are found by PATH. The status is the command's. IMAGE and NAME as",
			"words of their own or after =, and $IMAGE, $NAME, $PWD, $OPT1, $OPT2 and $OPT3",
			"anywhere, also with braces, stand for what they are called; $GLOBAL_OPTS for nothing.",
		},
		"init": {
			"",
			"Image, user, mounts, ports, addresses, limits and joined namespaces are looked",
			"up as for a start; what is wrong is said now. The container is initialized then,",
			"until it is started or the host is, and rl inspect shows the specification's path.",
			"Nothing is mounted, no namespace is made and no port kept: start does that, in one.",
			"In a pod, the pod's infra container is started: its namespaces are to be joined.",
		},
	}
}

func helpFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return groupHelp(s.Out, "")
		}
		if groupOf(args[0]) != nil && len(args) == 1 {
			return groupHelp(s.Out, args[0])
		}
		c, ok := find(strings.Join(args, " "))
		if !ok {
			c, ok = find(ungroup(args)[0])
		}
		if !ok {
			return unrecognized(strings.Join(args, " "))
		}
		set := flags.New(c.Name)
		c.Flags(set)
		usage(s.Out, c, strings.Join(args, " "), set)
		return nil
	}
}

// usage is laid out as podman's, which programs read.
func usage(w io.Writer, c Command, typed string, set *flags.Set) {
	about := strings.Join(append([]string{c.Short}, remarks()[c.Name]...), "\n  ")
	fmt.Fprintf(w, "%s\n\nDescription:\n  %s\n\nUsage:\n  %s\n", c.Short, about, strings.TrimSpace("rl "+typed+" "+strings.Replace(c.Args, "[FLAGS]", "[options]", 1)))
	if lines := examples()[c.Name]; len(lines) > 0 {
		fmt.Fprintf(w, "\nExamples:\n  rl %s\n", strings.Join(lines, "\n  rl "))
	}
	if text := set.Usage(); text != "" {
		fmt.Fprintf(w, "\nOptions:\n%s", text)
	}
}

// groupHelp lists the commands of a group, or those of rl and its groups.
func groupHelp(w io.Writer, group string) error {
	short, line, lines := "Containers for people without root", "rl [options] [command]", map[string]string{}
	if group != "" {
		short, line = groupTexts[group], "rl "+group+" [command]"
		for word, words := range groupOf(group) {
			if c, ok := find(words[0]); ok {
				lines[word] = c.Short
			}
		}
	} else {
		for _, c := range Commands() {
			if !strings.Contains(c.Name, " ") {
				lines[c.Name] = c.Short
			}
		}
		maps.Copy(lines, groupTexts)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nDescription:\n  %s\n\nUsage:\n  %s\n\nAvailable Commands:\n", short, short, line)
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "  %-11s %s\n", name, lines[name])
	}
	if group == "" {
		set, _ := globalFlags()
		b.WriteString("\nOptions:\n" + set.Usage())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

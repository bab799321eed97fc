package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// systemPruneFlags is podman-system-prune(1).
func systemPruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	all := f.BoolP("all", "a", false, "all images that no container has, not only those without a name")
	volumes := f.Bool("volumes", false, "volumes that no container has, too")
	f.Bool("external", false, "accepted for podman's sake")
	f.Bool("build", false, "accepted for podman's sake")
	var filters []string
	f.StringArrayVar(&filters, "filter", nil, "label|until=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "system prune takes no argument", Command: "system prune"}
		}
		for _, filter := range filters {
			if key, _, ok := strings.Cut(filter, "="); !ok || !slices.Contains([]string{"label", "label!", "until"}, key) {
				return usageError{Text: fmt.Sprintf("--filter %s: label or until=VALUE", filter), Command: "system prune"}
			}
		}
		if !*force && !confirm(s, pruneWarning(*all, *volumes)) {
			return nil
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		won, err := systemPrune(s, host, *all, *volumes, filters)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Out, "Total reclaimed space: %s\n", wideSize(won))
		return err
	}
}

func pruneWarning(all, volumes bool) string {
	lines := []string{"WARNING! This command removes:", "\t- all stopped containers", "\t- all networks not used by at least one container"}
	if volumes {
		lines = append(lines, "\t- all volumes not used by at least one container")
	}
	if all {
		lines = append(lines, "\t- all images without at least one container associated with them")
	} else {
		lines = append(lines, "\t- all dangling images")
	}
	return strings.Join(append(lines, "\t- all dangling build cache"), "\n")
}

// systemPrune prints a head above each kind that something goes of.
func systemPrune(s Streams, host container.Host, all, volumes bool, filters []string) (won int64, err error) {
	sizes, err := containerSizes(host)
	if err != nil {
		return 0, err
	}
	steps := []struct {
		head string
		do   func(Streams) (int64, error)
	}{
		{"Deleted Pods", func(s Streams) (int64, error) { return 0, prunePods(s, host) }},
		{"Deleted Containers", func(s Streams) (int64, error) { return 0, pruneContainers(s, host, filters) }},
		{"Deleted Images", func(s Streams) (int64, error) { return pruneImages(s, host, all, filters) }},
		{"Deleted Volumes", func(s Streams) (int64, error) {
			if !volumes {
				return 0, nil
			}
			return pruneAllVolumes(s, host, filters)
		}},
	}
	for _, step := range steps {
		n, err := headed(s, step.head, step.do)
		if won += n; err != nil {
			return won, err
		}
	}
	after, err := containerSizes(host)
	for id, size := range sizes {
		if _, there := after[id]; !there {
			won += size
		}
	}
	return won, err
}

// headed prints what a step prints, under a head; the step's second self prints, too.
func headed(s Streams, head string, do func(Streams) (int64, error)) (int64, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("making a pipe: %w", err)
	}
	text := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(reader)
		reader.Close()
		text <- b
	}()
	out := s
	out.Out = writer
	n, err := do(out)
	writer.Close()
	if printed := bytes.TrimSpace(<-text); len(printed) > 0 {
		fmt.Fprintf(s.Out, "%s\n%s\n", head, printed)
	}
	return n, err
}

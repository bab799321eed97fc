package cli

import (
	"fmt"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// updateFlags changes limits at once, the restart policy from the next end on,
// and the health check from the next start on.
func updateFlags(f *flags.Set) func(Streams, []string) error {
	u := start.NewUpdate(f)
	latest := f.Bool("latest", false, "the container that was made last")
	return func(s Streams, args []string) error {
		change, limits, err := u.Parse()
		if err != nil {
			return usageError{Text: err.Error(), Command: "update"}
		}
		sel := &selection{command: "update", latest: *latest}
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			next := i.Options
			if change(&next); next.Remove && next.Restart != "" && next.Restart != container.RestartNo {
				return fmt.Errorf("conflicting options: container %s is removed at its end, so it cannot be restarted", i.Name())
			}
			if err := i.Update(host.Dirs, change, limits); err != nil {
				return err
			}
			i.Emit(host.Dirs, "update")
			return nil
		})
	}
}

package cli

import (
	"containers/rl/cli/flags"
	"containers/rl/container"
)

// initFlags is podman-init(1), as far as a container without a process can be
// initialized: see container.Info.Initialize.
func initFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "init", with: func(i *container.Info) bool { return !active(i) && i.Status != container.StatusInitialized }}
	sel.flags(f)
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			if i.Options.Pod != nil && !infra(i) && !active(i) {
				pod, err := container.FindPod(host.Dirs, i.Options.Pod.ID)
				if err == nil {
					err = startInfra(host, pod) // its namespaces are to be joined
				}
				if err != nil {
					return err
				}
			}
			return i.Initialize(host)
		})
	}
}

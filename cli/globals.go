package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/storage"
	"containers/rl/storage/shared"
)

// global are the flags before the command (podman(1), docker(1)).
type global struct {
	version, quiet, debug, remote                       bool
	root, runRoot, logLevel, cgroups, driver, config    string
	connection, host, url, context, identity, namespace string
	events                                              string
	taken                                               string   // of flags that have no use here
	hooks, storageOpts, runtimeFlags, modules           []string // the same
}

func globalFlags() (*flags.Set, *global) {
	f, g := flags.New(""), &global{}
	f.SetInterspersed(false)
	f.StringVar(&g.cgroups, "cgroup-manager", "cgroupfs", "cgroupfs; systemd is not spoken to yet")
	f.StringVar(&g.config, "config", "", "directory of docker's config.json")
	f.StringVarP(&g.connection, "connection", "c", "", "refused: there is no remote service")
	f.StringVar(&g.context, "context", "", "refused, but for default")
	f.BoolVarP(&g.debug, "debug", "D", false, "accepted for docker's sake")
	f.StringVar(&g.events, "events-backend", "file", "file")
	f.StringArrayVar(&g.hooks, "hooks-dir", nil, "accepted for podman's sake: hooks are those of CDI devices")
	f.StringVarP(&g.host, "host", "H", "", "refused: there is no daemon")
	f.StringVar(&g.identity, "identity", "", "refused: there is no remote service")
	f.StringVarP(&g.logLevel, "log-level", "l", "warn", "trace|debug|info|warn|error|fatal|panic: rl keeps no log")
	f.StringVar(&g.namespace, "namespace", "", "refused")
	f.BoolVar(&g.quiet, "noout", false, "write nothing to standard output")
	f.BoolVarP(&g.remote, "remote", "r", false, "refused: there is no remote service")
	f.StringVar(&g.root, "root", "", "directory of images, volumes and containers")
	f.StringVar(&g.runRoot, "runroot", "", "directory of what does not outlive the session")
	f.StringVar(&g.driver, "storage-driver", "", "overlay, fuse-overlayfs, or vfs: a copy of the image for each container (default: the first of these that works)")
	f.StringArrayVar(&g.storageOpts, "storage-opt", nil, "overlay.imagestore=PATH, a read-only store of images; others are accepted for podman's sake")
	f.StringArrayVar(&g.runtimeFlags, "runtime-flag", nil, "accepted for podman's sake")
	f.StringArrayVar(&g.modules, "module", nil, "accepted for podman's sake")
	for _, name := range []string{"conmon", "runtime", "network-cmd-path", "network-config-dir", "tmpdir", "volumepath", "ssh"} {
		f.StringVar(&g.taken, name, "", "accepted for podman's sake")
	}
	f.Bool("syslog", false, "accepted for podman's sake")
	f.StringVar(&g.url, "url", "", "refused: there is no remote service")
	f.BoolVarP(&g.version, "version", "v", false, "show the version")
	return f, g
}

// globals reads the flags before the command, and gives what follows them.
func globals(args []string) (*global, []string, error) {
	f, g := globalFlags()
	if err := f.Parse(args); err != nil {
		return g, nil, err
	}
	return g, f.Args(), g.check()
}

func (g *global) check() error {
	for _, refused := range []struct{ flag, value string }{{"connection", g.connection}, {"host", g.host}, {"url", g.url}, {"identity", g.identity}, {"namespace", g.namespace}} {
		if refused.value != "" {
			return fmt.Errorf("--%s %s: rl has neither a daemon nor a remote service to talk to", refused.flag, refused.value)
		}
	}
	switch {
	case g.remote:
		return errors.New("--remote: rl has neither a daemon nor a remote service to talk to")
	case g.context != "" && g.context != "default":
		return fmt.Errorf("--context %s: rl has neither a daemon nor a remote service to talk to", g.context)
	case !slices.Contains([]string{"trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"}, g.logLevel):
		return fmt.Errorf("log level %q is not supported, choose from: trace, debug, info, warn, warning, error, fatal, panic", g.logLevel)
	case g.cgroups != "cgroupfs" && g.cgroups != "systemd":
		return fmt.Errorf("--cgroup-manager %s: cgroupfs or systemd", g.cgroups)
	case g.events != "file":
		return fmt.Errorf("--events-backend %s: rl has the backend file alone", g.events)
	}
	if g.driver != "" {
		if err := storage.CheckDriver(g.driver); err != nil {
			return fmt.Errorf("--storage-driver: %w", err)
		}
		if err := os.Setenv(storage.DriverVariable, g.driver); err != nil {
			return err
		}
	}
	return g.apply()
}

// apply: our own helpers are to see the same, so it is by the environment.
func (g *global) apply() error {
	for name, value := range map[string]string{storage.RootVariable: g.root, storage.RunRootVariable: g.runRoot, "DOCKER_CONFIG": g.config} {
		if value == "" {
			continue
		}
		path, err := filepath.Abs(value)
		if err != nil {
			return err
		}
		if err := os.Setenv(name, path); err != nil {
			return err
		}
	}
	if len(g.storageOpts) > 0 {
		return os.Setenv(shared.OptionsVariable, strings.Join(g.storageOpts, ","))
	}
	return nil
}

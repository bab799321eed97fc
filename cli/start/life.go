package start

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"containers/rl/container"
	"containers/rl/storage"
)

// checkLife is for what concerns a container after its start.
func (o *Run) checkLife() error {
	if err := o.checkLog(); err != nil {
		return err
	}
	if o.StopSignal != "" {
		if _, err := container.ParseSignal(o.StopSignal); err != nil {
			return fmt.Errorf("--stop-signal: %w", err)
		}
	}
	seconds, err := strconv.Atoi(o.stopTimeout)
	if err != nil || seconds < -1 {
		return fmt.Errorf("--stop-timeout %s: a number of seconds", o.stopTimeout)
	}
	o.StopTimeout = seconds
	if err := o.checkRestart(); err != nil {
		return err
	}
	if o.Health, err = o.health.parse(); err != nil {
		return err
	}
	mask, err := strconv.ParseUint(o.umask, 8, 16)
	if err != nil || mask > 0o777 {
		return fmt.Errorf("--umask %s: an octal number of at most 0777", o.umask)
	}
	o.Umask = int(mask)
	if slices.Contains(o.GroupAdd, "keep-groups") {
		if len(o.GroupAdd) > 1 {
			return errors.New("--group-add keep-groups: it cannot be used with other groups")
		}
		o.GroupAdd, o.KeepGroups = nil, true
	}
	if o.Annotations, err = pairs("--annotation", o.annotations); err != nil {
		return err
	}
	return o.checkLabels()
}

// pairs reads NAME=VALUE.
func pairs(flag string, texts []string) (map[string]string, error) {
	var all map[string]string
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		if name == "" {
			return nil, fmt.Errorf("%s %s: NAME=VALUE", flag, text)
		}
		if all == nil {
			all = map[string]string{}
		}
		all[name] = value
	}
	return all, nil
}

// checkPolicy reads the policy alone.
func (o *Run) checkPolicy() (err error) {
	policy, most, limited := strings.Cut(o.restart, ":")
	switch policy {
	case container.RestartNo, container.RestartAlways, container.RestartUnlessStopped, container.RestartOnFailure:
	default:
		return fmt.Errorf("--restart %s: no, on-failure[:MOST], always or unless-stopped", o.restart)
	}
	o.Restart = policy
	if limited {
		if o.RestartMax, err = strconv.Atoi(most); err != nil || o.RestartMax < 0 || policy != container.RestartOnFailure {
			return fmt.Errorf("--restart %s: on-failure alone takes a number", o.restart)
		}
	}
	return nil
}

func (o *Run) checkRestart() error {
	if err := o.checkPolicy(); err != nil {
		return err
	}
	policy := o.Restart
	if policy != container.RestartNo && o.Remove {
		return errors.New(`conflicting options: cannot specify both --restart and --rm: the --rm option conflicts with --restart, when the restartPolicy is not "" and "no"`)
	}
	if policy != container.RestartNo && !o.Detached && o.flags.Name() == "run" {
		return fmt.Errorf("--restart %s: in the foreground a container ends with rl; add --detach", o.restart)
	}
	return nil
}

// removeNamesake makes room for --replace.
func (o *Run) removeNamesake(host container.Host) error {
	if o.Name == "" {
		return UsageError{"cannot replace container without --name being set", o.flags.Name()}
	}
	info, err := container.Find(host.Dirs, o.Name)
	if errors.Is(err, storage.ErrNoContainer) || err == nil && info.Options.Name != o.Name {
		return nil
	}
	if err != nil {
		return err
	}
	return container.Delete(host, info, true)
}

func (o *Run) checkLabels() (err error) {
	o.Labels, err = Labels(o.labelFile, o.labels)
	return err
}

// Labels reads them: files first, flags after.
func Labels(files, texts []string) (map[string]string, error) {
	var all []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--label-file: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				all = append(all, line)
			}
		}
	}
	return pairs("--label", append(all, texts...))
}

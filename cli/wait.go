package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// waiting are the flags of wait (podman-wait(1)).
type waiting struct {
	conditions []string
	interval   string
	ignore     bool
	latest     *bool

	tests []containerTest // of the conditions other than its end
	end   bool            // its end is one, or the only one
	pause time.Duration
}

func waitFlags(f *flags.Set) func(Streams, []string) error {
	w := &waiting{latest: latestFlag(f)}
	f.StringArrayVar(&w.conditions, "condition", nil, "state to wait for, instead of the end: running, paused, healthy, ...")
	f.StringVarP(&w.interval, "interval", "i", "250ms", "time between two looks at the state")
	f.BoolVar(&w.ignore, "ignore", false, "do not mind a container that is not there: its status is -1")
	return func(s Streams, args []string) error {
		if err := w.check(args); err != nil {
			return usageError{Text: err.Error(), Command: "wait"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if args, err = withLatest(host, *w.latest, args); err != nil {
			return err
		}
		var failed []error
		for _, ref := range args {
			code, err := w.one(host, ref)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			fmt.Fprintln(s.Out, code)
		}
		return errors.Join(failed...)
	}
}

func (w *waiting) check(args []string) (err error) {
	if len(args) == 0 && !*w.latest {
		return errors.New(`"rl wait" requires a name, id, or the "--latest" flag`)
	}
	if len(args) > 0 && *w.latest {
		return errors.New("--latest and containers cannot be used together")
	}
	if n, failed := strconv.Atoi(w.interval); failed == nil {
		w.pause = time.Duration(n) * time.Millisecond // podman's unit
	} else if w.pause, err = time.ParseDuration(w.interval); err != nil {
		return err
	}
	w.pause = max(w.pause, time.Millisecond)
	w.end = len(w.conditions) == 0
	for _, c := range w.conditions {
		if c == "exited" || c == "stopped" {
			w.end = true
			continue
		}
		test, err := stateTest(c)
		if c == container.HealthHealthy || c == container.HealthUnhealthy {
			test, err = func(i *container.Info) bool { return i.Options.Health.Checked() && i.Health().Status == c }, nil
		}
		if err != nil {
			return err
		}
		w.tests = append(w.tests, test)
	}
	return nil
}

// one waits for a container and gives its exit status; -1 for one that has none.
func (w *waiting) one(host container.Host, ref string) (int, error) {
	info, err := container.Find(host.Dirs, ref)
	if w.ignore && errors.Is(err, storage.ErrNoContainer) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	if w.end && (len(w.tests) == 0 || info.Status == container.StatusExited) {
		ended, _, err := info.Wait(-1)
		return ended.Code, err
	}
	for !slices.ContainsFunc(w.tests, func(test containerTest) bool { return test(info) }) {
		time.Sleep(w.pause)
		info, err = container.Find(host.Dirs, info.ID)
		if errors.Is(err, storage.ErrNoContainer) && w.end {
			return -1, nil
		}
		if err != nil {
			return 0, err
		}
		if w.end && info.Status == container.StatusExited {
			break
		}
	}
	if info.Status == container.StatusExited {
		return info.Ended.Code, nil
	}
	return -1, nil
}

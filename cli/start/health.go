package start

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

// health are the flags of a health check as they were typed.
type health struct {
	none                                                        bool
	command, interval, timeout, startPeriod, retries, onFailure string
}

func (h *health) flags(f *flags.Set) {
	f.StringVar(&h.command, "health-cmd", "", "command that tells whether the container is healthy, none, or a JSON list of words")
	f.StringVar(&h.interval, "health-interval", "30s", "time between checks")
	f.StringVar(&h.timeout, "health-timeout", "30s", "time for a check")
	f.StringVar(&h.startPeriod, "health-start-period", "0s", "time in which failures do not count")
	f.StringVar(&h.retries, "health-retries", "3", "failures in a row that make it unhealthy")
	f.StringVar(&h.onFailure, "health-on-failure", "none", "none|kill|restart|stop")
	f.BoolVar(&h.none, "no-healthcheck", false, "do without the image's check")
}

// parse gives nil when the image's own check is wanted.
func (h *health) parse() (*container.Health, error) {
	if h.none || h.command == "none" {
		if h.none && h.command != "" {
			return nil, errors.New("conflicting options: --no-healthcheck and --health-cmd")
		}
		return &container.Health{Test: []string{"NONE"}}, nil
	}
	if !slices.Contains([]string{"none", "kill", "restart", "stop"}, h.onFailure) {
		return nil, fmt.Errorf("--health-on-failure %s: none, kill, restart or stop", h.onFailure)
	}
	if h.command == "" {
		return nil, nil
	}
	check := &container.Health{Test: []string{"CMD-SHELL", h.command}, OnFailure: h.onFailure}
	if strings.HasPrefix(h.command, "[") {
		var words []string
		if err := json.Unmarshal([]byte(h.command), &words); err != nil || len(words) == 0 {
			return nil, fmt.Errorf("--health-cmd %s: not a JSON list of words", h.command)
		}
		if check.Test = words; words[0] != "CMD" && words[0] != "CMD-SHELL" {
			check.Test = append([]string{"CMD"}, words...)
		}
	}
	for _, d := range []struct {
		name, text string
		to         *time.Duration
		least      time.Duration
	}{{"interval", h.interval, &check.Interval, 1}, {"timeout", h.timeout, &check.Timeout, 1}, {"start-period", h.startPeriod, &check.StartPeriod, 0}} {
		v, err := time.ParseDuration(d.text)
		if err != nil || v < d.least {
			return nil, fmt.Errorf("--health-%s %s: a duration such as 30s", d.name, d.text)
		}
		*d.to = v
	}
	n, err := strconv.Atoi(h.retries)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("--health-retries %s: a number greater than 0", h.retries)
	}
	check.Retries = n
	return check, nil
}

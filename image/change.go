package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// fullConfig is OCI's configuration, with what docker knows beside it.
type fullConfig struct {
	imagespec.Image
	Config runConfig `json:"config,omitempty"`
}

type runConfig struct {
	imagespec.ImageConfig
	Healthcheck json.RawMessage `json:",omitempty"`
	Shell       json.RawMessage `json:",omitempty"`
	OnBuild     []string        `json:",omitempty"`
}

// of takes what the container was made with.
func (c *runConfig) of(o CommitOptions) {
	c.User, c.Env, c.Entrypoint, c.Cmd, c.WorkingDir = o.Settings.User, o.Settings.Env, o.Settings.Entrypoint, o.Settings.Cmd, o.Settings.WorkingDir
	for _, label := range o.Settings.Labels {
		name, value, _ := strings.Cut(label, "=")
		c.setPair(true, name, value)
	}
	for _, volume := range o.Settings.Volumes {
		add(&c.Volumes, volume)
	}
	for _, port := range o.Exposed {
		add(&c.ExposedPorts, port)
	}
	c.StopSignal = or(o.Signal, c.StopSignal)
	if o.Health != nil {
		c.Healthcheck = o.Health
	}
}

func add(set *map[string]struct{}, value string) {
	if *set == nil {
		*set = map[string]struct{}{}
	}
	(*set)[value] = struct{}{}
}

func applyChanges(c *runConfig, changes []string) error {
	for _, change := range changes {
		if err := c.apply(change); err != nil {
			return fmt.Errorf("--change %s: %w", change, err)
		}
	}
	return nil
}

// apply takes a line such as `CMD ["sh"]`, or CMD=["sh"] (podman-commit(1), --change).
func (c *runConfig) apply(line string) (err error) {
	word, rest := strings.TrimSpace(line), ""
	if at := strings.IndexAny(word, " \t="); at >= 0 {
		word, rest = word[:at], strings.TrimSpace(word[at+1:])
	}
	word = strings.ToUpper(word)
	known := strings.Fields("CMD ENTRYPOINT ENV EXPOSE LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR")
	switch {
	case !slices.Contains(known, word):
		return fmt.Errorf("unknown instruction %s: %s", word, strings.Join(known, ", "))
	case rest == "":
		return fmt.Errorf("%s needs a value", word)
	}
	switch word {
	case "CMD":
		c.Cmd = commandLine(rest)
	case "ENTRYPOINT":
		c.Entrypoint = commandLine(rest)
	case "ENV", "LABEL":
		return c.pairs(word == "LABEL", rest)
	case "EXPOSE":
		return c.expose(rest)
	case "ONBUILD":
		return c.onBuild(rest)
	case "STOPSIGNAL":
		return c.stopSignal(rest)
	case "USER":
		c.User, err = unquote(rest)
	case "VOLUME":
		return c.volume(rest)
	case "WORKDIR":
		return c.workDir(rest)
	}
	return err
}

// pairs are NAME=VALUE of variables or labels, or, as in old files, one name and
// a value that is the rest of the line. A word without = belongs to the value before
// it: podman takes all of the line for one.
func (c *runConfig) pairs(label bool, rest string) error {
	words, err := splitWords(rest)
	if err != nil {
		return err
	}
	if !strings.Contains(words[0], "=") {
		value := strings.TrimSpace(strings.TrimPrefix(rest, words[0]))
		if value == "" {
			return errors.New("NAME=VALUE is needed")
		}
		words = []string{words[0] + "=" + value}
	}
	for n := len(words) - 1; n > 0; n-- {
		if !strings.Contains(words[n], "=") {
			words[n-1] += " " + words[n]
			words = slices.Delete(words, n, n+1)
		}
	}
	for _, word := range words {
		plain, err := unquote(word)
		if err != nil {
			return err
		}
		name, value, found := strings.Cut(plain, "=")
		if !found || name == "" {
			return fmt.Errorf("%s: NAME=VALUE is needed", word)
		}
		c.setPair(label, name, value)
	}
	return nil
}

func (c *runConfig) setPair(label bool, name, value string) {
	if label {
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		c.Labels[name] = value
		return
	}
	for i, entry := range c.Env {
		if strings.HasPrefix(entry, name+"=") {
			c.Env[i] = name + "=" + value
			return
		}
	}
	c.Env = append(c.Env, name+"="+value)
}

func (c *runConfig) expose(rest string) error {
	for _, port := range strings.Fields(rest) {
		number, protocol, given := strings.Cut(port, "/")
		if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%s: the port is no number from 1 to 65535", port)
		}
		if protocol = strings.ToLower(protocol); !given {
			protocol = "tcp"
		}
		if protocol != "tcp" && protocol != "udp" {
			return fmt.Errorf("%s: the protocol is neither tcp nor udp", port)
		}
		add(&c.ExposedPorts, number+"/"+protocol)
	}
	return nil
}

func (c *runConfig) onBuild(rest string) error {
	word, _, _ := strings.Cut(rest, " ")
	if slices.Contains([]string{"ONBUILD", "FROM", "MAINTAINER"}, strings.ToUpper(word)) {
		return fmt.Errorf("%s is not allowed in ONBUILD", word)
	}
	c.OnBuild = append(c.OnBuild, rest)
	return nil
}

// realTime: only the C library has names for these signals.
func realTime(name string) bool {
	return regexp.MustCompile(`^SIG(RTMIN(\+[0-9]+)?|RTMAX(-[0-9]+)?)$`).MatchString(name)
}

func (c *runConfig) stopSignal(rest string) (err error) {
	if rest, err = unquote(rest); err != nil {
		return err
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(rest), "SIG")
	if n, err := strconv.ParseUint(rest, 10, 8); (err != nil || n == 0 || n > 64) && unix.SignalNum(name) == 0 && !realTime(name) {
		return fmt.Errorf("invalid signal: %s", rest)
	}
	c.StopSignal = rest
	return nil
}

func (c *runConfig) volume(rest string) (err error) {
	var volumes []string
	if !strings.HasPrefix(rest, "[") || json.Unmarshal([]byte(rest), &volumes) != nil {
		if volumes, err = splitWords(rest); err != nil {
			return err
		}
		for n := range volumes {
			if volumes[n], err = unquote(volumes[n]); err != nil {
				return err
			}
		}
	}
	if len(volumes) == 0 || slices.Contains(volumes, "") {
		return errors.New("a volume needs a path")
	}
	for _, volume := range volumes {
		add(&c.Volumes, volume)
	}
	return nil
}

func (c *runConfig) workDir(rest string) error {
	dir, err := unquote(rest)
	if !path.IsAbs(dir) {
		dir = path.Join("/", c.WorkingDir, dir)
	}
	c.WorkingDir = path.Clean(dir)
	return err
}

// commandLine is a JSON list of words, or a line for the shell.
func commandLine(text string) []string {
	var words []string
	if strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &words) == nil {
		return words
	}
	return []string{"/bin/sh", "-c", text}
}

// splitWords parts a line at its spaces, but for those that are quoted or escaped. The
// words keep their quotes.
func splitWords(line string) (words []string, err error) {
	start := -1
	err = quoted(line, func(at int, c byte, plain bool) {
		switch space := plain && (c == ' ' || c == '\t'); {
		case space && start >= 0:
			words, start = append(words, line[start:at]), -1
		case !space && start < 0:
			start = at
		}
	}, nil)
	if start >= 0 {
		words = append(words, line[start:])
	}
	return words, err
}

// unquote takes away quotes and backslashes.
func unquote(word string) (string, error) {
	text := []byte{}
	err := quoted(word, nil, func(c byte) { text = append(text, c) })
	return string(text), err
}

// quoted reads text by the rules of a Dockerfile: nothing is special between single
// quotes, and between double ones a backslash only before ", $ and another. each
// hears of all bytes and whether they are plain, value of what they stand for.
func quoted(text string, each func(at int, c byte, plain bool), value func(c byte)) error {
	quote := byte(0)
	for n := 0; n < len(text); n++ {
		c, from, is := text[n], n, true
		escaped := c == '\\' && quote != '\'' && n+1 < len(text) && (quote == 0 || strings.IndexByte(`"$\`, text[n+1]) >= 0)
		switch {
		case escaped:
			n++
			c = text[n]
		case quote == 0 && (c == '"' || c == '\''):
			quote, is = c, false
		case c == quote:
			quote, is = 0, false
		}
		if each != nil {
			each(from, c, quote == 0 && !escaped)
		}
		if value != nil && is {
			value(c)
		}
	}
	if quote != 0 {
		return fmt.Errorf("%s: a quote %c that does not end", text, quote)
	}
	return nil
}

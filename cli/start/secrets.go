package start

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"containers/rl/container"
)

// checkSecrets reads --secret NAME[,KEY=VALUE,...] (podman-run(1)). The name
// stays as it was typed until findSecrets.
func (o *Run) checkSecrets() error {
	for _, text := range o.attached.secrets {
		s, err := secret(text)
		if err != nil {
			return fmt.Errorf("--secret %s: %w", text, err)
		}
		o.Secrets = append(o.Secrets, s)
	}
	return nil
}

func secret(text string) (s container.Secret, err error) {
	parts, err := fields(text)
	if err != nil {
		return s, err
	}
	s.Mode = 0o444
	owned := ""
	for n, part := range parts {
		key, value, set := strings.Cut(part, "=")
		if n == 0 && !set {
			key, value = "source", part
		}
		switch key {
		case "source", "src", "id":
			s.Name = value
		case "type":
			if value != "mount" && value != "env" {
				return s, fmt.Errorf("type %s is invalid: mount or env", value)
			}
			s.Env = value == "env"
		case "target":
			s.Target = value
		case "uid", "gid", "mode":
			owned = key
			err = setOwned(&s, key, value)
		default:
			err = fmt.Errorf("option %s invalid: type, target, uid, gid or mode", key)
		}
		if err != nil {
			return s, err
		}
	}
	switch {
	case s.Name == "":
		return s, errors.New("no secret found: NAME[,type=mount|env,target=...]")
	case s.Env && owned != "":
		return s, fmt.Errorf("%s cannot be used with type env", owned)
	case s.Env && strings.ContainsAny(s.Target, "=\x00"):
		return s, fmt.Errorf("target %q cannot be the name of a variable", s.Target)
	}
	return s, nil
}

func setOwned(s *container.Secret, key, value string) error {
	base, to := 10, &s.UID
	switch key {
	case "gid":
		to = &s.GID
	case "mode":
		base, to = 8, &s.Mode
	}
	n, err := strconv.ParseUint(value, base, 31)
	if err != nil || key == "mode" && n > 0o7777 {
		return fmt.Errorf("%s %s is not a number that it can be", key, value)
	}
	*to = uint32(n)
	return nil
}

const secretPlace = "/run/secrets"

// findSecrets copies the data.
func (o *Run) findSecrets(host container.Host) error {
	for n := range o.Secrets {
		s := &o.Secrets[n]
		found, err := host.Dirs.FindSecret(s.Name)
		if err != nil {
			return err
		}
		s.Name, s.ID, s.Data = found.Name, found.ID, found.Data
		if s.Target == "" {
			s.Target = s.Name
		}
		if s.Env {
			continue
		}
		if !path.IsAbs(s.Target) {
			s.Target = secretPlace + "/" + s.Target
		}
		if s.Target = path.Clean(s.Target); s.Target == "/" || inProc(s.Target) {
			return fmt.Errorf("--secret %s: target %s: a file cannot be there", s.Name, s.Target)
		}
	}
	return nil
}

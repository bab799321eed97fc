package storage

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Secret is data that is kept for containers. It lies in secrets/NAME, a file
// that the user alone can read: what follows as text, an empty line, the data.
type Secret struct {
	ID, Name         string
	Created, Updated time.Time
	Labels           []string // NAME=VALUE
	Data             []byte
}

// MaxSecret is the most that a secret may have, and one byte more than it.
const MaxSecret = 512000

// ErrNoSecret says that no secret has the name or id asked for.
var ErrNoSecret = errors.New("no such secret")

// ErrSecretDamaged says that a secret's file cannot be read. It can be removed by its name.
var ErrSecretDamaged = errors.New("it is damaged")

// ErrSecretExists says that a secret of the name is there.
var ErrSecretExists = errors.New("secret name in use")

func (d Dirs) secrets() string { return path.Join(d.Data, "secrets") }

// SecretDir is where they lie.
func (d Dirs) SecretDir() string { return d.secrets() }

// checkSecretName: a name becomes a file's here, and part of a path in
// containers.
func checkSecretName(name string) error {
	if len(name) > 200 || name == "" || checkName(name) != nil {
		return fmt.Errorf("secret name %q is invalid: letters, digits and _.- are allowed, beginning with a letter or digit, at most 200", name)
	}
	return nil
}

// CreateSecret keeps a secret, with replace in the place of another.
func (d Dirs) CreateSecret(s *Secret, replace bool) error {
	if err := checkSecretName(s.Name); err != nil {
		return err
	}
	if len(s.Data) == 0 || len(s.Data) >= MaxSecret {
		return fmt.Errorf("secret %s has %d bytes: secret data must be larger than 0 and less than %d bytes", s.Name, len(s.Data), MaxSecret)
	}
	now := time.Now().UTC()
	s.Created, s.Updated, s.ID = now, now, newSecretID()
	if old, err := d.readSecret(s.Name); err == nil && replace {
		s.Created, s.ID = old.Created, old.ID
	}
	if err := os.MkdirAll(d.secrets(), 0o700); err != nil {
		return fmt.Errorf("keeping secret %s: %w", s.Name, err)
	}
	tmp := fmt.Sprintf("%s/.%d", d.secrets(), os.Getpid())
	file := path.Join(d.secrets(), s.Name)
	err := writeLasting(tmp, s.encode())
	if err == nil && replace {
		err = os.Rename(tmp, file)
	} else if err == nil {
		err = os.Link(tmp, file) // unlike a rename, it fails when the name is taken
	}
	_ = os.Remove(tmp)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s: %w", s.Name, ErrSecretExists)
	}
	if err != nil {
		return fmt.Errorf("keeping secret %s: %w", s.Name, err)
	}
	return nil
}

// newSecretID is as long as podman's.
func newSecretID() string {
	id := make([]byte, 13)
	_, _ = unix.Getrandom(id, 0) // of so few bytes it never fails
	return hex.EncodeToString(id)[:25]
}

func (s *Secret) encode() []byte {
	text := fmt.Appendf(nil, "id %s\ncreated %d\nupdated %d\n", s.ID, s.Created.UnixNano(), s.Updated.UnixNano())
	for _, label := range s.Labels {
		text = fmt.Appendf(text, "label %q\n", label)
	}
	return append(append(text, '\n'), s.Data...)
}

func (d Dirs) readSecret(name string) (*Secret, error) {
	if checkSecretName(name) != nil {
		return nil, noSecret(name)
	}
	text, err := os.ReadFile(path.Join(d.secrets(), name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, noSecret(name)
	}
	s := &Secret{Name: name}
	if err == nil {
		err = s.decode(string(text))
	}
	if err != nil {
		return nil, fmt.Errorf("reading secret %s: %w: %w: rl secret rm %[1]s removes it", name, ErrSecretDamaged, err)
	}
	return s, nil
}

func noSecret(ref string) error {
	return fmt.Errorf("no secret with name or id %q: %w", ref, ErrNoSecret)
}

func (s *Secret) decode(text string) (err error) {
	head, data, whole := strings.Cut(text, "\n\n")
	if !whole {
		return errors.New("it is not whole")
	}
	s.Data = []byte(data)
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "id":
			s.ID = value
		case "label":
			if value, err = strconv.Unquote(value); err == nil {
				s.Labels = append(s.Labels, value)
			}
		case "created":
			s.Created, err = parseNano(value)
		case "updated":
			s.Updated, err = parseNano(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseNano(text string) (time.Time, error) {
	at, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, at).UTC(), err
}

// Secrets lists all that can be read by their names, and gives an error for the others.
func (d Dirs) Secrets() (list []*Secret, err error) {
	entries, err := os.ReadDir(d.secrets())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing secrets: %w", err)
	}
	var failed []error
	for _, e := range entries {
		if checkSecretName(e.Name()) != nil {
			continue // being written
		}
		s, err := d.readSecret(e.Name())
		if errors.Is(err, ErrNoSecret) {
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		list = append(list, s)
	}
	return list, errors.Join(failed...)
}

// FindSecret finds a secret by its name, its id or the beginning of its id.
func (d Dirs) FindSecret(ref string) (*Secret, error) {
	s, err := d.readSecret(ref)
	if !errors.Is(err, ErrNoSecret) || ref == "" {
		return s, err
	}
	list, unread := d.Secrets()
	list = slices.DeleteFunc(list, func(s *Secret) bool { return !strings.HasPrefix(s.ID, ref) })
	switch len(list) {
	case 0:
		return nil, errors.Join(noSecret(ref), unread)
	case 1:
		return list[0], nil
	}
	return nil, fmt.Errorf("more than one result secret with prefix %s", ref)
}

// RemoveSecret removes a secret. Containers that have it keep it.
func (d Dirs) RemoveSecret(s *Secret) error {
	err := os.Remove(path.Join(d.secrets(), s.Name))
	if errors.Is(err, os.ErrNotExist) {
		return noSecret(s.Name)
	}
	if err != nil {
		return fmt.Errorf("removing secret %s: %w", s.Name, err)
	}
	return nil
}

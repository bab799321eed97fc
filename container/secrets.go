package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/userns"
)

// Secret is one that a container has. Its data is copied when the container is
// made, into the container's own directory on the host, and is in no record.
type Secret struct {
	Name, ID string
	Target   string // in the container: a path, or with Env a variable
	Env      bool   `json:",omitzero"`
	UID, GID uint32 `json:",omitzero"`
	Mode     uint32 `json:",omitzero"`

	Data []byte `json:"-"`
}

// secretDir is where secrets are in a container's directory. While it runs, the
// container's mount namespace has a tmpfs there, which the files in the container
// are bound from: nobody else sees it, and it goes with the namespace.
const secretDir = "secrets"

func secretFile(dir string, n int) string { return fmt.Sprintf("%s/secret-%d", dir, n) }

// keepSecrets copies their data.
func (o *Options) keepSecrets(c *storage.Container) error {
	for n, s := range o.Secrets {
		if err := c.WriteFile(path.Base(secretFile(c.Dir, n)), s.Data); err != nil {
			return fmt.Errorf("copying secret %s: %w", s.Name, err)
		}
	}
	return nil
}

// loadSecrets reads what an earlier command has copied.
func (o *Options) loadSecrets(dir string) error {
	o.Secrets = slices.Clone(o.Secrets)
	for n := range o.Secrets {
		s := &o.Secrets[n]
		if s.Data != nil {
			continue
		}
		var err error
		if s.Data, err = os.ReadFile(secretFile(dir, n)); err != nil {
			return fmt.Errorf("reading secret %s: %w", s.Name, err)
		}
	}
	return nil
}

// secretEnv are those that are variables.
func (o *Options) secretEnv() (env []string) {
	for _, s := range o.Secrets {
		if s.Env {
			env = append(env, s.Target+"="+string(s.Data))
		}
	}
	return env
}

// secrets makes the files of secrets, read-only.
func (p *plan) secrets(dir string) error {
	if len(p.o.Secrets) == 0 {
		return nil
	}
	if err := p.o.loadSecrets(dir); err != nil {
		return err
	}
	place := path.Join(dir, secretDir)
	if err := os.Mkdir(place, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	p.Do("mounting tmpfs on", place, unix.SYS_MOUNT, p.Str("tmpfs"), p.Str(place), p.Str("tmpfs"), userns.Int(unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), p.Str("mode=700"))
	for n, s := range p.o.Secrets {
		if s.Env {
			if strings.ContainsRune(string(s.Data), 0) {
				return fmt.Errorf("secret %s: it holds a NUL, which no variable can: use type=mount", s.Name)
			}
			continue
		}
		p.secret(fmt.Sprintf("%s/%d", place, n), s)
	}
	return nil
}

// secret writes the file before anyone sees it, and binds it to its place.
func (p *plan) secret(file string, s Secret) {
	fd := p.Do("making the file of secret", s.Name, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str(file), userns.Int(unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC), userns.Int(0o600)).Save()
	p.Do("writing secret", s.Name, unix.SYS_WRITE, fd.Arg(), p.Bytes(s.Data), userns.Int(len(s.Data))).Want(len(s.Data))
	if s.UID != 0 || s.GID != 0 {
		p.Do("setting the owner of secret", s.Name, unix.SYS_FCHOWN, fd.Arg(), userns.Int(s.UID), userns.Int(s.GID))
	}
	p.Do("setting the mode of secret", s.Name, unix.SYS_FCHMOD, fd.Arg(), userns.Int(s.Mode))
	p.close(fd)
	p.target(s.Target, false)
	p.graft(tree{object: "secret " + s.Name + " on " + s.Target, dir: userns.Int(unix.AT_FDCWD), path: file, source: file,
		flags: unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, propagation: unix.MS_PRIVATE})
}

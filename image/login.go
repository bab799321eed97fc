package image

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sys/unix"
)

// ErrNotLoggedIn says that there are no credentials.
var ErrNotLoggedIn = errors.New("not logged into")

// ErrDockers says that docker alone has them.
var ErrDockers = errors.New("the credentials are docker's")

// RegistryKey is what credentials are kept under: HOST[/REPOSITORY]; "" is the
// first registry that names without one are looked for in.
func RegistryKey(text string, a Access) (string, error) {
	if text == "" {
		registries, err := LoadRegistries(a.getenv)
		if err != nil {
			return "", err
		}
		search := registries.SearchList()
		if len(search) == 0 {
			return "", errors.New("no registries found in registries.conf, a registry must be provided")
		}
		return search[0], nil
	}
	key := authKey(text)
	if strings.Contains(key, "://") { // docker://HOST is no host named docker
		return "", fmt.Errorf("parse reference from %q: invalid reference format: HOST[:PORT][/REPOSITORY]", text)
	}
	if key == "" || strings.ContainsAny(key, " @?#") {
		return "", fmt.Errorf("%q is not the name of a registry", text)
	}
	return key, nil
}

// Who gives the user that is logged in, and the password.
func (a Access) Who(key string) (user, password string, err error) {
	auth, err := credentials(a.getenv, key)
	if err != nil {
		return "", "", err
	}
	config, err := auth.Authorization()
	if err != nil || config.Username == "" && config.IdentityToken == "" {
		return "", "", errors.Join(err, fmt.Errorf("%w %s", ErrNotLoggedIn, key))
	}
	return config.Username, config.Password, nil
}

// Login asks the registry whether it takes the credentials, and keeps them. The
// file, or the helper, that has them now comes back.
func (a Access) Login(ctx context.Context, key, user, password string) (string, error) {
	if err := a.try(ctx, key, user, password); err != nil {
		return "", err
	}
	host, _, _ := strings.Cut(key, "/")
	store := func(helper string) (string, error) {
		return helper, runHelper(helper, "store", map[string]string{"ServerURL": helperKey(host), "Username": user, "Secret": password})
	}
	helpers, err := credentialHelpers(a.getenv)
	if err != nil {
		return "", err
	}
	if helpers[0] != authFilesHelper {
		return store(helpers[0])
	}
	path := a.authPath()
	file, err := openAuthFile(path)
	if err != nil {
		return "", err
	}
	defer file.close()
	if helper := file.helper(host); helper != "" {
		return store(helper)
	}
	entry := map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
	return path, file.change(func(auths map[string]json.RawMessage) error {
		deleteKey(auths, key)
		text, err := json.Marshal(entry)
		auths[key] = text
		return err
	})
}

// Logout forgets credentials; "" is all there are.
func (a Access) Logout(key string) error {
	helpers, err := credentialHelpers(a.getenv)
	if err != nil {
		return err
	}
	found := key == ""
	for _, helper := range helpers {
		forget := forgetHelpers
		if helper == authFilesHelper {
			forget = a.forgetFiles
		}
		had, err := forget(helper, key)
		if err != nil {
			return err
		}
		found = found || had
	}
	if found {
		return nil
	}
	if auth, err := fileCredentials(a.getenv, key); auth != nil && err == nil {
		return ErrDockers
	}
	return fmt.Errorf("%w %s", ErrNotLoggedIn, key)
}

// forgetHelpers removes what a helper of registries.conf has.
func forgetHelpers(helper, key string) (had bool, err error) {
	if key != "" {
		host, _, _ := strings.Cut(key, "/")
		auth, err := askHelper(helper, host)
		if err != nil || auth == nil {
			return false, err
		}
		return true, runHelper(helper, "erase", helperKey(host))
	}
	out, err := exec.Command("docker-credential-"+helper, "list").Output()
	if err != nil {
		return false, fmt.Errorf("docker-credential-%s list: %w", helper, err)
	}
	var users map[string]string // by server
	if err := json.Unmarshal(out, &users); err != nil {
		return false, fmt.Errorf("docker-credential-%s list: %w", helper, err)
	}
	for server := range users {
		err = errors.Join(err, runHelper(helper, "erase", server))
	}
	return len(users) > 0, err
}

func (a Access) forgetFiles(_, key string) (found bool, err error) {
	for _, path := range ownAuthPaths(a.getenv) {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		file, err := openAuthFile(path)
		if err != nil {
			return found, err
		}
		had, err := file.forget(key)
		file.close()
		if err != nil {
			return found, err
		}
		if found = found || had; had && key != "" {
			break
		}
	}
	return found, nil
}

// try is one authenticated request.
func (a Access) try(ctx context.Context, key, user, password string) error {
	registries, err := LoadRegistries(a.getenv)
	if err != nil {
		return err
	}
	host, _, _ := strings.Cut(key, "/")
	endpoints, err := registries.Endpoints(Reference{Registry: host, Repository: "login"})
	if err != nil {
		return err
	}
	e := endpoints[len(endpoints)-1]
	address, _, _ := strings.Cut(e.Name, "/")
	var names []name.Option
	if a.insecure(e) {
		names = append(names, name.Insecure)
	}
	registry, err := name.NewRegistry(address, names...)
	if err != nil {
		return err
	}
	plain, err := a.transport(address, a.insecure(e))
	if err != nil {
		return err
	}
	t, err := transport.NewWithContext(ctx, registry, &authn.Basic{Username: user, Password: password}, plain, nil)
	if err == nil {
		err = askVersion(ctx, registry, t)
	}
	var status *transport.Error
	if errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("logging into %q: invalid username/password", key)
	}
	if err != nil {
		return fmt.Errorf("authenticating creds for %q: %w", key, err)
	}
	return nil
}

func askVersion(ctx context.Context, registry name.Registry, t http.RoundTripper) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, registry.Scheme()+"://"+registry.RegistryStr()+"/v2/", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: t}).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return transport.CheckError(answer, http.StatusOK)
}

// authPath is where credentials are written: the first place that they are read from.
func (a Access) authPath() string { return authPaths(a.getenv)[0] }

// authJSON is an auth.json being changed. What we do not know in it stays.
type authJSON struct {
	path string
	lock *os.File
	all  map[string]json.RawMessage
	file authFile
}

func openAuthFile(path string) (*authJSON, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	lock, err := os.Open(filepath.Dir(path)) // not the file, which is replaced
	if err != nil {
		return nil, err
	}
	f := &authJSON{path: path, lock: lock, all: map[string]json.RawMessage{}}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return f, nil
	}
	if err == nil && len(bytes.TrimSpace(text)) > 0 {
		err = errors.Join(json.Unmarshal(text, &f.all), json.Unmarshal(text, &f.file))
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("reading credentials: %s: %w", path, err)
	}
	return f, nil
}

func (f *authJSON) close() { f.lock.Close() }

func (f *authJSON) helper(host string) string { return or(f.file.CredHelpers[host], f.file.CredsStore) }

func (f *authJSON) change(do func(map[string]json.RawMessage) error) error {
	auths := map[string]json.RawMessage{}
	if raw := f.all["auths"]; raw != nil {
		if err := json.Unmarshal(raw, &auths); err != nil {
			return fmt.Errorf("reading credentials: %s: %w", f.path, err)
		}
	}
	if err := do(auths); err != nil {
		return err
	}
	var err error
	if f.all["auths"], err = json.Marshal(auths); err != nil {
		return err
	}
	text, err := json.MarshalIndent(f.all, "", "\t")
	if err != nil {
		return err
	}
	return f.write(text)
}

// write replaces the file, or what a link that it is points to.
func (f *authJSON) write(text []byte) error {
	path := f.path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".auth-") // 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// forget removes a key, or all, and says whether there was something.
func (f *authJSON) forget(key string) (had bool, err error) {
	host, _, _ := strings.Cut(key, "/")
	if helper := f.helper(host); key != "" && helper != "" {
		if auth, err := askHelper(helper, host); err != nil || auth != nil {
			return auth != nil, errors.Join(err, runHelper(helper, "erase", helperKey(host)))
		}
	}
	err = f.change(func(auths map[string]json.RawMessage) error {
		if key == "" {
			had = len(auths) > 0
			clear(auths)
			return nil
		}
		had = deleteKey(auths, key)
		return nil
	})
	return had, err
}

func deleteKey(auths map[string]json.RawMessage, key string) (had bool) {
	for known := range auths {
		if authKey(known) == key {
			delete(auths, known)
			had = true
		}
	}
	return had
}

func helperKey(host string) string {
	if host == "docker.io" {
		return "https://index.docker.io/v1/"
	}
	return host
}

// runHelper runs docker-credential-NAME; a string is given as it is, all else as JSON.
func runHelper(helper, action string, input any) error {
	cmd := exec.Command("docker-credential-"+helper, action)
	text, plain := input.(string)
	if !plain {
		b, err := json.Marshal(input)
		if err != nil {
			return err
		}
		text = string(b)
	}
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		said, _ := io.ReadAll(io.LimitReader(bytes.NewReader(out), 400))
		return fmt.Errorf("docker-credential-%s %s: %w: %s", helper, action, err, bytes.TrimSpace(said))
	}
	return nil
}

package image

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// authFile is containers-auth.json(5), which docker's config.json agrees with.
type authFile struct {
	Auths       map[string]authn.AuthConfig `json:"auths"`
	CredHelpers map[string]string           `json:"credHelpers"`
	CredsStore  string                      `json:"credsStore"`
}

// authPaths in the order of containers-auth.json(5).
func authPaths(getenv func(string) string) []string {
	if path := getenv("REGISTRY_AUTH_FILE"); path != "" {
		return []string{path}
	}
	home := getenv("HOME")
	config := getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	var list []string
	if run := getenv("XDG_RUNTIME_DIR"); run != "" {
		list = append(list, filepath.Join(run, "containers/auth.json"))
	}
	docker := getenv("DOCKER_CONFIG")
	if docker == "" {
		docker = filepath.Join(home, ".docker")
	}
	return append(list, filepath.Join(config, "containers/auth.json"), filepath.Join(docker, "config.json"))
}

// ownAuthPaths are those that we change: docker's is not, unless it is named.
func ownAuthPaths(getenv func(string) string) []string {
	list := authPaths(getenv)
	if getenv("REGISTRY_AUTH_FILE") != "" {
		return list
	}
	return list[:len(list)-1]
}

// authFilesHelper is the name of these files among the helpers of registries.conf.
const authFilesHelper = "containers-auth.json"

// credentialHelpers are those that registries.conf names.
func credentialHelpers(getenv func(string) string) ([]string, error) {
	registries, err := LoadRegistries(getenv)
	if err != nil || len(registries.Helpers) == 0 {
		return []string{authFilesHelper}, err
	}
	return registries.Helpers, nil
}

// credentials finds who to be for HOST/REPOSITORY; the longest key wins.
func credentials(getenv func(string) string, name string) (authn.Authenticator, error) {
	helpers, err := credentialHelpers(getenv)
	if err != nil {
		return nil, err
	}
	host, _, _ := strings.Cut(name, "/")
	for _, helper := range helpers {
		var a authn.Authenticator
		if helper == authFilesHelper {
			a, err = fileCredentials(getenv, name)
		} else {
			a, err = askHelper(helper, host)
		}
		if a != nil || err != nil {
			return a, err
		}
	}
	return authn.Anonymous, nil
}

// fileCredentials gives nil when there are none.
func fileCredentials(getenv func(string) string, name string) (authn.Authenticator, error) {
	for _, path := range authPaths(getenv) {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading credentials: %w", err)
		}
		var file authFile
		if err := json.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("reading credentials: %s: %w", path, err)
		}
		if a, err := file.find(name); a != nil || err != nil {
			return a, err
		}
	}
	return nil, nil
}

func (f *authFile) find(name string) (authn.Authenticator, error) {
	host, _, _ := strings.Cut(name, "/")
	if helper := f.CredHelpers[host]; helper != "" {
		return askHelper(helper, host)
	}
	for key := name; ; key = key[:strings.LastIndexByte(key, '/')] {
		for known, config := range f.Auths {
			if authKey(known) == key && config != (authn.AuthConfig{}) {
				return decodeAuth(config)
			}
		}
		if !strings.Contains(key, "/") {
			break
		}
	}
	if f.CredsStore != "" {
		return askHelper(f.CredsStore, host)
	}
	return nil, nil
}

// authKey: docker writes https://index.docker.io/v1/ for docker.io.
func authKey(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(key, "/"), "/v1"), "/v2")
	if key == "index.docker.io" || key == "registry-1.docker.io" {
		return "docker.io"
	}
	return key
}

func decodeAuth(c authn.AuthConfig) (authn.Authenticator, error) {
	if c.Auth != "" {
		text, err := base64.StdEncoding.DecodeString(strings.TrimRight(c.Auth, "\x00"))
		user, password, ok := strings.Cut(string(text), ":")
		if err != nil || !ok {
			return nil, errors.New("reading credentials: an auth is not base64 of USER:PASSWORD")
		}
		c.Username, c.Password, c.Auth = user, strings.TrimRight(password, "\x00"), ""
	}
	return authn.FromConfig(c), nil
}

// askHelper runs docker-credential-NAME get.
func askHelper(helper, host string) (authn.Authenticator, error) {
	if host == "docker.io" {
		host = "https://index.docker.io/v1/"
	}
	cmd := exec.Command("docker-credential-"+helper, "get")
	cmd.Stdin = strings.NewReader(host)
	out, err := cmd.Output()
	if err != nil {
		return nil, nil // it has none, or is not there: go on without
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("reading credentials of docker-credential-%s: %w", helper, err)
	}
	if answer.Username == "<token>" {
		return authn.FromConfig(authn.AuthConfig{IdentityToken: answer.Secret}), nil
	}
	return authn.FromConfig(authn.AuthConfig{Username: answer.Username, Password: answer.Secret}), nil
}

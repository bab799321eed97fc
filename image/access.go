package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Access says how to speak to a registry. The zero value is what the files of
// the user and the host say.
type Access struct {
	AuthFile  string // instead of the usual ones
	Creds     string `json:"-"` // USER:PASSWORD; "" is CredsVariable
	CertDir   string // with ca's *.crt, and the client's *.cert and *.key
	TLSVerify *bool  // over registries.conf
	Policy    string // signature policy instead of the usual ones
}

// CredsVariable passes credentials on to the second self, whose arguments
// everyone can see.
const CredsVariable = "RL_REGISTRY_CREDS"

// Check says early what cannot work.
func (a Access) Check() error {
	if a.AuthFile != "" {
		if _, err := os.Stat(a.AuthFile); err != nil {
			return fmt.Errorf("checking authfile: %w", err)
		}
	}
	return nil
}

func (a Access) getenv(name string) string {
	if name == "REGISTRY_AUTH_FILE" && a.AuthFile != "" {
		return a.AuthFile
	}
	return os.Getenv(name)
}

// who to be for HOST/REPOSITORY.
func (a Access) who(name string) (authn.Authenticator, error) {
	if creds := or(a.Creds, os.Getenv(CredsVariable)); creds != "" {
		user, password, _ := strings.Cut(creds, ":")
		return &authn.Basic{Username: user, Password: password}, nil
	}
	return credentials(a.getenv, name)
}

// insecure: the flag is over the file.
func (a Access) insecure(e Endpoint) bool {
	if a.TLSVerify != nil {
		return !*a.TLSVerify
	}
	return e.Insecure
}

// options for requests to an endpoint.
func (a Access) options(ctx context.Context, e Endpoint) (list []remote.Option, names []name.Option, err error) {
	if a.insecure(e) {
		names = append(names, name.Insecure)
	}
	auth, err := a.who(e.Name)
	if err != nil {
		return nil, nil, err
	}
	host, _, _ := strings.Cut(e.Name, "/")
	t, err := a.transport(host, a.insecure(e))
	if err != nil {
		return nil, nil, err
	}
	if a.TLSVerify != nil && *a.TLSVerify {
		t = onlyTLS{t}
	}
	t = brief{resuming{patient{t, sleep}, sleep, quiet}}
	return []remote.Option{remote.WithContext(ctx), remote.WithAuth(auth), remote.WithTransport(t), remote.WithUserAgent("rl"), remote.WithJobs(layersAtOnce)}, names, nil
}

// onlyTLS refuses http, which is otherwise the second try with a registry of
// this machine.
type onlyTLS struct{ http.RoundTripper }

func (t onlyTLS) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s speaks http only, and --tls-verify demands https", r.URL.Host)
	}
	return t.RoundTripper.RoundTrip(r)
}

// transport has the certificates of containers-certs.d(5).
func (a Access) transport(host string, insecure bool) (http.RoundTripper, error) {
	t := roundTripper(insecure).(*http.Transport)
	dirs := []string{a.CertDir}
	if a.CertDir == "" {
		dirs = nil
		for _, base := range []string{filepath.Join(os.Getenv("HOME"), ".config/containers/certs.d"), "/etc/containers/certs.d", "/etc/docker/certs.d"} {
			dirs = append(dirs, filepath.Join(base, host))
		}
	}
	for _, dir := range dirs {
		found, err := addCertificates(t, dir)
		if err != nil {
			return nil, err
		}
		if found {
			return t, nil
		}
	}
	if a.CertDir != "" {
		if _, err := os.Stat(a.CertDir); err != nil {
			return nil, fmt.Errorf("reading --cert-dir: %w", err)
		}
	}
	return t, nil
}

func addCertificates(t *http.Transport, dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading certificates: %w", err)
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch filepath.Ext(path) {
		case ".crt":
			text, err := os.ReadFile(path)
			if err != nil {
				return false, fmt.Errorf("reading certificates: %w", err)
			}
			if t.TLSClientConfig.RootCAs == nil {
				if t.TLSClientConfig.RootCAs, err = x509.SystemCertPool(); err != nil {
					t.TLSClientConfig.RootCAs = x509.NewCertPool()
				}
			}
			t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text)
		case ".cert":
			pair, err := tls.LoadX509KeyPair(path, strings.TrimSuffix(path, ".cert")+".key")
			if err != nil {
				return false, fmt.Errorf("reading certificates: %w", err)
			}
			t.TLSClientConfig.Certificates = append(t.TLSClientConfig.Certificates, pair)
		}
	}
	return true, nil
}

func roundTripper(insecure bool) http.RoundTripper {
	t := remote.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout * 2}).DialContext
	t.ResponseHeaderTimeout = answerTimeout
	t.MaxIdleConnsPerHost = layersAtOnce
	if insecure && t.TLSClientConfig != nil {
		t.TLSClientConfig.InsecureSkipVerify = true
	} else if insecure {
		t.TLSClientConfig = insecureTLS()
	}
	return t
}

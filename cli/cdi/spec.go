package cdi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Spec is one file.
type Spec struct {
	Version     word            `json:"cdiVersion"`
	Kind        word            `json:"kind"`
	Annotations map[string]word `json:"annotations"`
	Devices     []Device        `json:"devices"`
	Edits       Edits           `json:"containerEdits"` // of all of its devices
	file        string
	directory   int // index; a later one counts
}

// Device is one that can be asked for.
type Device struct {
	Name        word            `json:"name"`
	Annotations map[string]word `json:"annotations"`
	Edits       Edits           `json:"containerEdits"`
}

// Edits are the changes of a container.
type Edits struct {
	Env         []word          `json:"env"`
	DeviceNodes []Node          `json:"deviceNodes"`
	Mounts      []Mount         `json:"mounts"`
	Hooks       []Hook          `json:"hooks"`
	GIDs        []uint32        `json:"additionalGids"`
	IntelRdt    json.RawMessage `json:"intelRdt"`
	NetDevices  json.RawMessage `json:"netDevices"`
}

// Node is a device node; that of the host is at HostPath, or at Path.
type Node struct {
	Path        word   `json:"path"`
	HostPath    word   `json:"hostPath"`
	Type        word   `json:"type"`
	Major       int64  `json:"major"`
	Minor       int64  `json:"minor"`
	FileMode    uint32 `json:"fileMode"`
	Permissions word   `json:"permissions"`
	UID         uint32 `json:"uid"`
	GID         uint32 `json:"gid"`
}

// Mount is of the host's path, unless it has a type.
type Mount struct {
	HostPath      word   `json:"hostPath"`
	ContainerPath word   `json:"containerPath"`
	Type          word   `json:"type"`
	Options       []word `json:"options"`
}

// Hook is a program of the host (OCI runtime specification, POSIX-platform Hooks).
type Hook struct {
	Stage   word   `json:"hookName"`
	Path    word   `json:"path"`
	Args    []word `json:"args"`
	Env     []word `json:"env"`
	Timeout *int   `json:"timeout"` // seconds
}

// word is a string, or what YAML takes for something else: name: 0.
type word string

// UnmarshalJSON reads it.
func (w *word) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case '"':
		var s string
		err := json.Unmarshal(text, &s)
		*w = word(s)
		return err
	case '{', '[':
		return fmt.Errorf("%.20s: text is wanted", text)
	case 'n': // null
		return nil
	}
	*w = word(text)
	return nil
}

// Strings gives a list of them.
func Strings(list []word) (texts []string) {
	for _, w := range list {
		texts = append(texts, string(w))
	}
	return texts
}

// Stages are the names that a hook may have.
var Stages = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

// Parse reads a file's text, and checks it. name tells JSON from YAML.
func Parse(name string, text []byte) (*Spec, error) {
	if path.Ext(name) == ".yaml" {
		tree, err := parseYAML(string(text))
		if err != nil {
			return nil, err
		}
		if text, err = json.Marshal(tree); err != nil {
			return nil, err
		}
	}
	s := &Spec{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // what is not known cannot be done
	if err := decoder.Decode(s); err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if decoder.More() {
		return nil, errors.New("something follows the specification")
	}
	return s, s.check()
}

func (s *Spec) check() error {
	if major, rest, ok := strings.Cut(strings.TrimPrefix(string(s.Version), "v"), "."); !ok || rest == "" || major != "0" && major != "1" {
		return fmt.Errorf("cdiVersion %q: 0.x and 1.x are known", s.Version)
	}
	if err := checkKind(string(s.Kind)); err != nil {
		return err
	}
	if len(s.Devices) == 0 {
		return errors.New("no devices")
	}
	if err := s.Edits.check(); err != nil {
		return err
	}
	seen := map[word]bool{}
	for _, d := range s.Devices {
		err := checkDevice(string(d.Name))
		if err == nil && seen[d.Name] {
			err = errors.New("there are two of the name")
		}
		if err == nil {
			err = d.Edits.check()
		}
		if err != nil {
			return fmt.Errorf("device %s: %w", d.Name, err)
		}
		seen[d.Name] = true
	}
	return nil
}

func (e *Edits) check() error {
	if err := checkEnv(e.Env); err != nil {
		return err
	}
	for _, n := range e.DeviceNodes {
		if err := n.check(); err != nil {
			return fmt.Errorf("device node %q: %w", n.Path, err)
		}
	}
	for _, m := range e.Mounts {
		if m.HostPath == "" || !path.IsAbs(string(m.ContainerPath)) || strings.ContainsRune(string(m.HostPath+m.ContainerPath), 0) {
			return fmt.Errorf("mount of %q on %q: hostPath and an absolute containerPath", m.HostPath, m.ContainerPath)
		}
	}
	for _, h := range e.Hooks {
		if err := h.check(); err != nil {
			return fmt.Errorf("hook %q: %w", h.Stage, err)
		}
	}
	return nil
}

func checkEnv(list []word) error {
	for _, v := range list {
		if name, _, ok := strings.Cut(string(v), "="); !ok || name == "" || strings.ContainsRune(string(v), 0) {
			return fmt.Errorf("variable %q: NAME=VALUE", v)
		}
	}
	return nil
}

func (n Node) check() error {
	if !path.IsAbs(string(n.Path)) || n.HostPath != "" && !path.IsAbs(string(n.HostPath)) || strings.ContainsRune(string(n.Path+n.HostPath), 0) {
		return errors.New("an absolute path")
	}
	if n.Type != "" && !slices.Contains([]word{"b", "c", "u", "p"}, n.Type) {
		return fmt.Errorf("type %q: b, c, u or p", n.Type)
	}
	if strings.Trim(string(n.Permissions), "rwm") != "" {
		return fmt.Errorf("permissions %q: of r, w and m", n.Permissions)
	}
	return nil
}

func (h Hook) check() error {
	if !slices.Contains(Stages, string(h.Stage)) {
		return fmt.Errorf("hookName: one of %s", strings.Join(Stages, ", "))
	}
	if !path.IsAbs(string(h.Path)) || strings.ContainsRune(string(h.Path)+strings.Join(Strings(h.Args), ""), 0) {
		return fmt.Errorf("path %q: an absolute path", h.Path)
	}
	if h.Timeout != nil && *h.Timeout <= 0 {
		return fmt.Errorf("timeout %d: a positive number of seconds", *h.Timeout)
	}
	return checkEnv(h.Env)
}

package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/container"
)

// inspectedImage is an image as docker and podman show it (docker-image-inspect(1),
// podman-image-inspect(1)). ID is .Id again, as templates of docker's users have it.
type inspectedImage struct {
	Id            string
	ID            string `json:"-"`
	Digest        string
	RepoTags      []string
	RepoDigests   []string
	Parent        string
	Comment       string
	Created       string
	Config        inspectedImageConfig
	Version       string
	DockerVersion string `json:",omitempty"`
	Author        string
	Architecture  string
	Variant       string `json:",omitempty"`
	Os            string
	OsVersion     string `json:",omitempty"`
	Size          int64
	VirtualSize   int64
	GraphDriver   inspectedGraph
	RootFS        inspectedRootFS
	Labels        map[string]string
	Annotations   map[string]string
	ManifestType  string
	User          string
	History       []imagespec.History
	NamesHistory  []string
	HealthCheck   json.RawMessage `json:"Healthcheck,omitempty"`
	Metadata      struct{ LastTagTime string }
}

// inspectedImageConfig is OCI's, and what docker has beyond.
type inspectedImageConfig struct {
	User         string              `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	Entrypoint   []string            `json:",omitempty"`
	Cmd          []string            `json:",omitempty"`
	Volumes      map[string]struct{} `json:",omitempty"`
	WorkingDir   string              `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
	StopSignal   string              `json:",omitempty"`
	ArgsEscaped  bool                `json:",omitempty"`
	Hostname     string              `json:",omitempty"`
	Domainname   string              `json:",omitempty"`
	Healthcheck  *container.Health   `json:",omitempty"`
	OnBuild      []string            `json:",omitempty"`
	Shell        []string            `json:",omitempty"`
}

type inspectedGraph struct {
	Name string
	Data map[string]string
}

type inspectedRootFS struct {
	Type   string
	Layers []string
}

func inspectImage(host container.Host, ref string) (any, error) {
	all, err := viewImages(host)
	if err != nil {
		return nil, err
	}
	v, err := all.find(ref)
	if err != nil {
		return nil, err
	}
	var docker struct {
		Config        inspectedImageConfig `json:"config"`
		DockerVersion string               `json:"docker_version"`
	}
	_ = json.Unmarshal(v.Config, &docker) // of another shape in a field that podman does not know: what could be read is shown
	spec := v.Spec
	out := inspectedImage{Id: v.ID, ID: v.ID, Digest: v.Digest, RepoTags: v.repoTags(), RepoDigests: v.repoDigests(), Parent: imageRow{v, "", false}.parentID(), Created: stamp(v.Created),
		Config: docker.Config, Version: v.labels()["version"], DockerVersion: docker.DockerVersion, Author: spec.Author, Architecture: spec.Architecture, Variant: spec.Variant,
		Os: spec.OS, OsVersion: spec.OSVersion, Size: v.Size, VirtualSize: v.Size, GraphDriver: graphDriver(v), RootFS: inspectedRootFS{Type: spec.RootFS.Type, Layers: []string{}},
		Labels: docker.Config.Labels, Annotations: map[string]string{}, User: docker.Config.User, History: spec.History, NamesHistory: v.NamesHistory}
	for _, d := range spec.RootFS.DiffIDs {
		out.RootFS.Layers = append(out.RootFS.Layers, d.String())
	}
	if n := len(spec.History); n > 0 {
		out.Comment = spec.History[n-1].Comment
	}
	out.Metadata.LastTagTime = stamp(v.Created)
	out.readManifest(host, v)
	return out, nil
}

// readManifest takes what the manifest alone says; the built-in image has none.
func (out *inspectedImage) readManifest(host container.Host, v *imageView) {
	text, err := v.manifestText(host)
	if err != nil {
		return
	}
	var m struct {
		MediaType   string            `json:"mediaType"`
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(text, &m) != nil {
		return
	}
	if out.ManifestType = m.MediaType; m.MediaType == "" {
		out.ManifestType = imagespec.MediaTypeImageManifest
	}
	if m.Annotations != nil {
		out.Annotations = m.Annotations
	}
}

// graphDriver has the directories as a mount of overlay would name them.
func graphDriver(v *imageView) inspectedGraph {
	d := inspectedGraph{Name: "overlay", Data: map[string]string{}}
	if n := len(v.Layers); n > 0 && v.Layers[n-1].Dir != "" {
		home := filepath.Dir(v.Layers[n-1].Dir)
		d.Data["UpperDir"], d.Data["WorkDir"] = v.Layers[n-1].Dir, filepath.Join(home, "work")
		var lower []string
		for i := n - 2; i >= 0; i-- {
			lower = append(lower, v.Layers[i].Dir)
		}
		if len(lower) > 0 {
			d.Data["LowerDir"] = strings.Join(lower, ":")
		}
	}
	return d
}

// Command push makes an image of one tar of a root file system and pushes it to the tests' registry under one or more names.
package main

import (
	"flag"
	"fmt"
	"log"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

type options struct {
	registry, layer, cmd, entrypoint, env, workdir, user string
	zstd, index, whiteouts                               bool
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("push: ")
	var o options
	flag.StringVar(&o.registry, "registry", "127.0.0.1:5055", "address of the registry")
	flag.StringVar(&o.layer, "layer", "", "tar of the root file system")
	flag.StringVar(&o.cmd, "cmd", "", "the image's command, words separated by spaces")
	flag.StringVar(&o.entrypoint, "entrypoint", "", "the image's entry point, words separated by spaces")
	flag.StringVar(&o.env, "env", "", "one variable")
	flag.StringVar(&o.workdir, "workdir", "", "the image's working directory")
	flag.StringVar(&o.user, "user", "", "the image's user")
	flag.BoolVar(&o.zstd, "zstd", false, "compress by zstd instead of gzip")
	flag.BoolVar(&o.index, "index", false, "push an index with this platform's image and another's")
	flag.BoolVar(&o.whiteouts, "whiteouts", false, "add a layer that deletes and replaces")
	flag.Parse()
	if err := run(o, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(o options, names []string) error {
	img, err := build(o)
	if err != nil {
		return fmt.Errorf("building the image of %s: %w", o.layer, err)
	}
	for _, n := range names {
		ref, err := name.ParseReference(o.registry+"/"+n, name.Insecure)
		if err != nil {
			return err
		}
		if err := push(ref, img, o.index); err != nil {
			return fmt.Errorf("pushing %s: %w", ref, err)
		}
	}
	return nil
}

func push(ref name.Reference, img v1.Image, index bool) error {
	if !index {
		return remote.Write(ref, img)
	}
	idx, err := indexOf(img)
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, idx)
}

// indexOf puts a wrong platform's image first: whoever takes the first entry is found out.
func indexOf(img v1.Image) (v1.ImageIndex, error) {
	other, err := withConfig(empty.Image, func(c *v1.ConfigFile) { c.Architecture = "s390x" })
	if err != nil {
		return nil, err
	}
	add := func(img v1.Image, arch string) mutate.IndexAddendum {
		platform := &v1.Platform{OS: "linux", Architecture: arch}
		return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}}
	}
	base := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	return mutate.AppendManifests(base, add(other, "s390x"), add(img, runtime.GOARCH)), nil
}

func build(o options) (v1.Image, error) {
	layers, err := layersOf(o)
	if err != nil {
		return nil, err
	}
	img := v1.Image(empty.Image)
	if o.zstd {
		// Docker's schema has no media type for zstd.
		img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	if img, err = mutate.AppendLayers(img, layers...); err != nil {
		return nil, err
	}
	return withConfig(img, func(c *v1.ConfigFile) {
		c.Architecture = runtime.GOARCH
		c.Config.Cmd = strings.Fields(o.cmd)
		c.Config.Entrypoint = strings.Fields(o.entrypoint)
		c.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		if o.env != "" {
			c.Config.Env = append(c.Config.Env, o.env)
		}
		c.Config.WorkingDir = o.workdir
		c.Config.User = o.user
	})
}

func withConfig(img v1.Image, edit func(*v1.ConfigFile)) (v1.Image, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS = "linux"
	edit(config)
	return mutate.ConfigFile(img, config)
}

func layersOf(o options) ([]v1.Layer, error) {
	var opts []tarball.LayerOption
	if o.zstd {
		opts = append(opts, tarball.WithCompression(compression.ZStd), tarball.WithMediaType(types.OCILayerZStd))
	}
	base, err := tarball.LayerFromFile(o.layer, opts...)
	if err != nil || !o.whiteouts {
		return []v1.Layer{base}, err
	}
	second, err := whiteoutLayer()
	return []v1.Layer{base, second}, err
}

package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image/toolbox"
	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// findBuiltin makes the built-in image when it is not there, or was made from
// another binary than ours.
func findBuiltin(host container.Host) (*storage.Image, error) {
	img, err := start.LookupBuiltin(host)
	if err == nil || !errors.Is(err, storage.ErrNoImage) {
		return img, err
	}
	self, err := start.SelfName()
	if err != nil {
		return nil, err
	}
	if err := inside(host, roleBuiltin, host.Dirs.Data, host.Dirs.Run, self); err != nil {
		return nil, err
	}
	return host.Dirs.Lookup(start.BuiltinName)
}

// builtinInside writes the image as root of the user namespace.
func builtinInside(_ Streams, args []string) (err error) {
	if len(args) != 3 {
		return errors.New(roleBuiltin + " is for rl itself")
	}
	self := args[2]
	store, err := layers.Open(storage.Dirs{Data: args[0], Run: args[1]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	staging, err := store.StageLayer()
	if err != nil {
		return err
	}
	defer staging.Abort()
	if err := toolbox.WriteRootfs(staging.Dir.Name(), "/proc/self/exe"); err != nil {
		return fmt.Errorf("making the built-in image: %w", err)
	}
	diffID := digest.FromString("rl builtin " + self)
	layer, err := staging.Commit("", diffID, 0, layers.Blob{MediaType: imagespec.MediaTypeImageLayer})
	if err != nil {
		return err
	}
	config, err := builtinConfig(self, diffID)
	if err != nil {
		return err
	}
	img, err := store.PutImage(layers.Image{Names: []string{start.BuiltinName}, Aliases: []string{"builtin"}, Config: config, Manifest: []byte("{}"), Digest: digest.FromBytes(config), Layer: layer})
	return errors.Join(err, img.Close())
}

func builtinConfig(self string, diffID digest.Digest) ([]byte, error) {
	var image imagespec.Image
	text, err := toolbox.ConfigJSON()
	if err == nil {
		err = json.Unmarshal(text, &image)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the built-in configuration: %w", err)
	}
	if image.Config.Labels == nil {
		image.Config.Labels = map[string]string{}
	}
	image.Config.Labels[start.SelfLabel] = self
	image.RootFS = imagespec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}}
	return json.Marshal(image)
}

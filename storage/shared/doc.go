// Package shared reads image stores that others write: the additional image
// stores of containers-storage.conf(5). One may be the data directory of another
// rl, or a graph root as podman has it, with the driver overlay: both hold
//
//	overlay-images/images.json     images, their names and topmost layers
//	overlay-images/ID/manifest     and, under "=BASE64", the configuration
//	overlay-layers/layers.json     layers, what is below each, their digests
//	overlay-layers/ID.tar-split.gz the headers of the layer's archive
//	overlay/ID/diff                the layer, to which overlay/l/LINK leads
//
// rl keeps the headers in frames/CHAIN-ID instead.
//
// Nothing is written there, and nothing locked: who has the store replaces each
// of its lists as a whole, and may remove a layer at any moment. What is read is
// another's, and bounded; an image whose configuration does not have the digest
// that is its id does not exist. Whether the layers can be mounted as they are is
// for package image to find out, which looks into them.
//
// A store of another driver is refused: vfs has whole trees, and no layers.
package shared

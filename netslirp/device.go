package netslirp

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// headerSize is that of struct virtio_net_hdr with num_buffers
// (linux/virtio_net.h); the size without it, 10, would misalign the packet.
const headerSize = 12

// offloads are what the stack can take: large TCP packets, checksums unfinished.
const offloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6

// DeviceRequest is the struct ifreq that makes the device by TUNSETIFF.
func DeviceRequest() (req [40]byte) {
	copy(req[:unix.IFNAMSIZ], DeviceName)
	binary.NativeEndian.PutUint16(req[unix.IFNAMSIZ:], unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_VNET_HDR)
	return req
}

// prepare sets what Serve needs of the device. UDP segmentation stays off:
// every datagram is repeated by itself, so that its borders are kept.
func prepare(tun int) error {
	if err := unix.IoctlSetPointerInt(tun, unix.TUNSETVNETHDRSZ, headerSize); err != nil {
		return fmt.Errorf("setting the header size of %s: %w", DeviceName, err)
	}
	if err := unix.IoctlSetInt(tun, unix.TUNSETOFFLOAD, offloads); err != nil {
		// Without offloads the kernel sends whole, finished packets.
		if err := unix.IoctlSetInt(tun, unix.TUNSETOFFLOAD, 0); err != nil {
			return fmt.Errorf("setting the offloads of %s: %w", DeviceName, err)
		}
	}
	return unix.SetNonblock(tun, true)
}

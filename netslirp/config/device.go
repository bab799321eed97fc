package config

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// HeaderSize is that of struct virtio_net_hdr with num_buffers
// (linux/virtio_net.h), which stands before every packet of the device; the
// size without it, 10, would misalign the packet.
const HeaderSize = 12

// offloads are what the stack can take: large TCP packets, checksums unfinished.
const offloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6

// DeviceRequest is the struct ifreq that makes the device by TUNSETIFF.
func DeviceRequest() (req [40]byte) {
	copy(req[:unix.IFNAMSIZ], DeviceName)
	binary.NativeEndian.PutUint16(req[unix.IFNAMSIZ:], unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_VNET_HDR)
	return req
}

// Prepare sets what whoever reads the device relies on. UDP segmentation stays
// off: every datagram is repeated by itself, so that its borders are kept.
func Prepare(tun int) error {
	if err := unix.IoctlSetPointerInt(tun, unix.TUNSETVNETHDRSZ, HeaderSize); err != nil {
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

// Wanted says whether a packet asks something of the stack. What the kernel
// sends by itself (multicast listener reports, router solicitations, duplicate
// address detection) goes to multicast addresses and wants no answer.
func Wanted(packet []byte) bool {
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4: // RFC 791, section 3.1
		return packet[16]>>4 != 0xe
	case len(packet) >= 40 && packet[0]>>4 == 6: // RFC 8200, section 3
		return packet[24] != 0xff
	}
	return false
}

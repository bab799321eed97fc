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

// Address6Index is where Address6Request has the device's index, 4 bytes.
const Address6Index = 20

// Address6Request is the message that adds Address6 (rtnetlink(7), RTM_NEWADDR),
// to be sent to a NETLINK_ROUTE socket. The ioctl for it cannot say NODAD: the
// kernel then looks for doubles of the address as soon as the device is known to
// be up, a while later, and connections go out from ::1 until it has.
func Address6Request(index uint32) []byte {
	order := binary.NativeEndian
	var b []byte
	b = order.AppendUint32(b, 0) // length, below
	b = order.AppendUint16(b, unix.RTM_NEWADDR)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	b = append(b, make([]byte, 8)...) // sequence number, port
	b = append(b, unix.AF_INET6, Bits6, unix.IFA_F_NODAD|unix.IFA_F_PERMANENT, unix.RT_SCOPE_UNIVERSE)
	b = order.AppendUint32(b, index)
	for _, kind := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		b = order.AppendUint16(b, 4+16)
		b = order.AppendUint16(b, kind)
		b = append(b, Address6[:]...)
	}
	order.PutUint32(b, uint32(len(b)))
	return b
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

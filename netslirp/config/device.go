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

// EtherSize is that of the Ethernet header before each packet of a device that
// has an address of its own (IEEE 802.3: destination, source, type).
const EtherSize = 14

// DeviceRequest is the struct ifreq that makes the device by TUNSETIFF.
func (n *Network) DeviceRequest() (req [40]byte) {
	copy(req[:unix.IFNAMSIZ], DeviceName)
	kind := uint16(unix.IFF_TUN)
	if n.Ethernet() {
		kind = unix.IFF_TAP
	}
	binary.NativeEndian.PutUint16(req[unix.IFNAMSIZ:], kind|unix.IFF_NO_PI|unix.IFF_VNET_HDR)
	return req
}

// Ethernet says whether the device has an address. Nobody is asked for others'
// (IFF_NOARP, netdevice(7)): the kernel then sends all to the device's own, and
// package netslirp looks at what is inside.
func (n *Network) Ethernet() bool { return n.MAC != [6]byte{} }

// Flags are what the device is started with.
func (n *Network) Flags() uint16 {
	if n.Ethernet() {
		return unix.IFF_UP | unix.IFF_NOARP
	}
	return unix.IFF_UP
}

// AddressRequest is the struct sockaddr of SIOCSIFHWADDR.
func (n *Network) AddressRequest() []byte {
	return append(binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER), n.MAC[:]...)
}

// Packet cuts off what stands before a packet that was read from the device;
// nil when there is none.
func (n *Network) Packet(frame []byte) []byte {
	size := HeaderSize
	if n.Ethernet() {
		size += EtherSize
	}
	if len(frame) <= size {
		return nil
	}
	return frame[size:]
}

// Address6Index is where Address6Request has the device's index, 4 bytes each.
var Address6Index = [2]int{20, 116}

// Address6Request are the two messages that add Address6 (rtnetlink(7),
// RTM_NEWADDR) and make it the container's own (RTM_NEWROUTE), to be sent to a
// NETLINK_ROUTE socket in one. The ioctl for the first cannot say NODAD: the
// kernel then looks for doubles of the address as soon as the device is known to
// be up, a while later, and connections go out from ::1 until it has. Even with
// NODAD it leaves the second to a work queue, and drops answers until that ran.
func Address6Request(index uint32) []byte {
	order := binary.NativeEndian
	b := message(nil, unix.RTM_NEWADDR, unix.NLM_F_EXCL,
		order.AppendUint32([]byte{unix.AF_INET6, Bits6, unix.IFA_F_NODAD | unix.IFA_F_PERMANENT, unix.RT_SCOPE_UNIVERSE}, index),
		attribute{unix.IFA_LOCAL, Address6[:]}, attribute{unix.IFA_ADDRESS, Address6[:]})
	return message(b, unix.RTM_NEWROUTE, 0,
		[]byte{unix.AF_INET6, 128, 0, 0, unix.RT_TABLE_LOCAL, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_LOCAL, 0, 0, 0, 0},
		attribute{unix.RTA_DST, Address6[:]}, attribute{unix.RTA_OIF, order.AppendUint32(nil, index)})
}

// attribute is one of a message of rtnetlink(7); its value is padded already.
type attribute struct {
	kind  uint16
	value []byte
}

// message appends one that makes something (netlink(7)).
func message(b []byte, kind, flags uint16, head []byte, attributes ...attribute) []byte {
	order, start := binary.NativeEndian, len(b)
	b = order.AppendUint32(b, 0) // length, below
	b = order.AppendUint16(b, kind)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_CREATE|flags)
	b = append(b, make([]byte, 8)...) // sequence number, port
	b = append(b, head...)
	for _, a := range attributes {
		b = order.AppendUint16(b, uint16(4+len(a.value)))
		b = order.AppendUint16(b, a.kind)
		b = append(b, a.value...)
	}
	order.PutUint32(b[start:], uint32(len(b)-start))
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

package tc

import (
	"encoding/binary"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The attributes of classifiers, include/uapi/linux/pkt_cls.h, of which
// package netlink lacks some.
const (
	u32ClassID = 1 // TCA_U32_CLASSID
	u32Sel     = 5
	u32Act     = 7
	u32InDev   = 8

	flowKeys      = 1 // TCA_FLOW_KEYS
	flowMode      = 2
	flowBaseClass = 3
	flowXor       = 7

	flowKeySKUID = 1 << 14
	flowModeMap  = 0

	matchallClassID = 1 // TCA_MATCHALL_CLASSID
	matchallAct     = 2
)

// addFilters sends what any of the filters selects to a class, or, if
// redirect is above 0, out of the device of that index.
func (ns *namespace) addFilters(link int, parent uint32, list []filter, class uint32, redirect int) error {
	for i, f := range list {
		req, msg := ns.request(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, link)
		msg.Parent = parent
		if f.uid != nil {
			msg.Handle = 1 // flow wants one
		}
		msg.Info = uint32(1+i)<<16 | uint32(hostToNet(f.protocol()))
		req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(f.kind())))
		options, err := f.options(class, redirect)
		if err != nil {
			return err
		}
		req.AddData(options)
		if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
			return err
		}
	}
	return nil
}

func (f *filter) protocol() uint16 {
	switch {
	case f.kind() != "u32":
		return unix.ETH_P_ALL
	case f.ipv6:
		return unix.ETH_P_IPV6
	}
	return unix.ETH_P_IP
}

func (f *filter) options(class uint32, redirect int) (*nl.RtAttr, error) {
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	classID, act := matchallClassID, matchallAct
	switch f.kind() {
	case "flow": // the user's class is base + 0, every other user's is none
		o.AddRtAttr(flowKeys, nl.Uint32Attr(flowKeySKUID))
		o.AddRtAttr(flowMode, nl.Uint32Attr(flowModeMap))
		o.AddRtAttr(flowXor, nl.Uint32Attr(*f.uid))
		o.AddRtAttr(flowBaseClass, nl.Uint32Attr(class))
		return o, nil
	case "u32":
		classID, act = u32ClassID, u32Act
		o.AddRtAttr(u32Sel, f.selector())
		if f.inDev != "" {
			o.AddRtAttr(u32InDev, nl.ZeroTerminated(f.inDev))
		}
	}
	if redirect > 0 {
		return o, netlink.EncodeActions(o.AddRtAttr(act, nil), []netlink.Action{netlink.NewMirredAction(redirect)})
	}
	o.AddRtAttr(classID, nl.Uint32Attr(class))
	return o, nil
}

// selector encodes struct tc_u32_sel with its keys.
func (f *filter) selector() []byte {
	const terminal = 1 // TC_U32_TERMINAL
	keys := f.keys
	if len(keys) == 0 {
		keys = []key{{}}
	}
	b := make([]byte, 16, 16+16*len(keys))
	b[0], b[2] = terminal, byte(len(keys))
	for _, k := range keys {
		b = binary.BigEndian.AppendUint32(b, k.mask)
		b = binary.BigEndian.AppendUint32(b, k.value)
		b = native.AppendUint32(b, uint32(k.at))
		b = native.AppendUint32(b, 0)
	}
	return b
}

// hostToNet is a number in network byte order.
func hostToNet(v uint16) int {
	return int(native.Uint16([]byte{byte(v >> 8), byte(v)}))
}

//go:build interop

package interop

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// besides are the peers whose exchanges stand beside ours of the same name.
var besides = []struct{ title, ours, theirs string }{
	{"LwM2M clients at our server: ours, Leshan's", "our LwM2M device at our LwM2M server", "Leshan's client at our LwM2M server"},
	{"LwM2M servers of our device: ours, Leshan's", "our LwM2M device at our LwM2M server", "our LwM2M device at Leshan's server library"},
	{"MQTT clients at our platform: ours, AWS's", "our MQTT device at our platform", "AWSIoTPythonSDK at our platform"},
	{"MQTT clients at our platform: ours, Azure's", "our MQTT device at our Azure hub", "azure-iot-device at our platform"},
	{"MQTT brokers of our device: ours, Mosquitto", "our MQTT device at our broker", "our MQTT device at Mosquitto"},
	{"CoAP clients at our server: ours, libcoap's", "our CoAP client at our CoAP server", "libcoap's coap-client at our CoAP server"},
}

const (
	besideBegin = "<!-- side by side: made of the tables below by make interop UPDATE=1 -->\n"
	besideEnd   = "<!-- end of side by side -->\n"
)

// row is an exchange as the page lists it.
type row struct {
	peer, name              string
	packetsUp, packetsDown  int
	bytesUp, bytesDown, sum int // of IP packets
}

var rowFormat = regexp.MustCompile(`(?m)^(?:### (.+)|\| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|.*)$`)

// rows are the exchanges of the tables, in their order.
func rows(tables string) (all []row) {
	peer := ""
	for _, m := range rowFormat.FindAllStringSubmatch(tables, -1) {
		if m[1] != "" {
			peer = m[1]
			continue
		}
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[3+i]) // digits
		}
		all = append(all, row{peer, m[2], n[0], n[1], n[2], n[3], n[2] + n[3]})
	}
	return all
}

// sideBySide puts what both ends of each comparison did beside each other.
func sideBySide(all []row) string {
	var out strings.Builder
	for _, b := range besides {
		fmt.Fprintf(&out, "\n### %s\n\n", b.title)
		out.WriteString("| exchange | packets up | down | bytes up | down | theirs: packets up | down | bytes up | down | difference |\n")
		out.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
		ours := make(map[string]row)
		for _, r := range all {
			if r.peer == b.ours {
				ours[r.name] = r
			}
		}
		for _, r := range all {
			if o, ok := ours[r.name]; ok && r.peer == b.theirs {
				fmt.Fprintf(&out, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %+.0f %% |\n", r.name,
					o.packetsUp, o.packetsDown, o.bytesUp, o.bytesDown, r.packetsUp, r.packetsDown, r.bytesUp, r.bytesDown,
					100*(float64(r.sum)/float64(o.sum)-1))
			}
		}
	}
	return out.String() + "\n"
}

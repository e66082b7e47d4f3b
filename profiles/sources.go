package profiles

// A source is what the comments of built-in profiles name in short.
type source struct{ short, title string }

var sources = []source{
	{"SIM", "raw data of an NB-IoT measurement study in two Norwegian networks, github.com/theomarzaki/NB-IoT-Performance, Dataset/connected_share.csv"},
	{"STB", "NB-IoT thesis, Stellenbosch 2019, github.com/dan-leo/masters, thesis/v8/thesis.md"},
	{"LENA", "NB-IoT module of ns-3, github.com/tudo-cni/ns3-lena-nb"},
	{"nRF9160", "Nordic Semiconductor, nRF9160 modem current consumption"},
	{"M5311", "data sheet of the modem M5311"},
	{"TR 38.821", "3GPP TR 38.821, solutions for NR to support non-terrestrial networks"},
	{"CMW", "Rohde & Schwarz, R&S CMW-KM300/-KS300 user manual 1178.5689.02, NB-IoT signaling, tables 2-5, 2-10 and 2-11"},
	{"Olivia", "Olivia Wireless, billing details: SMS from the device 0.10 EUR, from the platform 0.03 EUR, oliviawireless.com/knowledge-base/billing-details"},
	{"TS 36.213", "3GPP TS 36.213, E-UTRA physical layer procedures, section 16: narrowband IoT"},
	{"TS 36.211", "3GPP TS 36.211, E-UTRA physical channels and modulation"},
}

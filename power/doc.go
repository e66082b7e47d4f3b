// Package power turns the radio's state timeline of a run into energy: by
// state, by cause, per report and per byte; and energy into battery life. It
// reads no clock and runs nothing.
//
// Nouns: a Module is a modem's YAML with the source of every current; its
// Model has one technology's draw in watts. A Timeline is what a link's tap
// saw of the radio; Model.Account integrates it over a window. A Battery says
// how long it lasts under a mean power. A Probe measures one exchange or one
// tracking area update over a bare link, without any protocol stack.
//
//	module, err := power.Load("nrf9160")
//	model, err := module.Model("nbiot", nil)
//	account := model.Account(timeline, network)
//	life := battery.Life(account.MeanW())
//
// What is modelled. Sending and receiving draw their power while the link's
// grants or rate keep them on the air. A connection that is silent listens to
// the control channel, or with connected DRX (TS 36.321 section 5.7) until its
// inactivity timer ends and then for the on-duration of each cycle. In idle
// every paging occasion costs an energy, and with eDRX every paging time window
// another for waking up (TS 36.304 section 7); between them the modem sleeps.
// Random access, set-up and a tracking area update have a mean power each,
// because their signalling is not simulated message by message. The causes are
// reports, sessions (keep-alives, registration updates, handshakes: connections
// without a report), tracking area updates, paging, and sleep.
//
// Limitations: transmit power is a setting and does not follow the path loss;
// the mean number of paging occasions is charged, not each at its time; a
// device without coverage sleeps instead of searching for a cell, as in
// package netem; currents do not depend on temperature or supply voltage.
package power

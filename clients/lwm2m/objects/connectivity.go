package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the connectivity object that the code uses.
const (
	ConnectivityBearer    = 0
	ConnectivitySignal    = 2
	ConnectivityQuality   = 3
	ConnectivityAddresses = 4
	ConnectivityCell      = 8
)

// Connectivity describes the network bearer (appendix E.5).
var Connectivity = &model.Object{ID: 4, Name: "Connectivity Monitoring", Version: "1.1", Resources: []model.Resource{
	{ID: ConnectivityBearer, Name: "Network Bearer", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: 1, Name: "Available Network Bearer", Ops: model.R, Type: model.Integer, Multiple: true, Mandatory: true},
	{ID: ConnectivitySignal, Name: "Radio Signal Strength", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: ConnectivityQuality, Name: "Link Quality", Ops: model.R, Type: model.Integer},
	{ID: ConnectivityAddresses, Name: "IP Addresses", Ops: model.R, Type: model.String, Multiple: true, Mandatory: true},
	{ID: 5, Name: "Router IP Addresses", Ops: model.R, Type: model.String, Multiple: true},
	{ID: 6, Name: "Link Utilization", Ops: model.R, Type: model.Integer},
	{ID: 7, Name: "APN", Ops: model.R, Type: model.String, Multiple: true},
	{ID: ConnectivityCell, Name: "Cell ID", Ops: model.R, Type: model.Integer},
	{ID: 9, Name: "SMNC", Ops: model.R, Type: model.Integer},
	{ID: 10, Name: "SMCC", Ops: model.R, Type: model.Integer},
	{ID: 11, Name: "SignalSNR", Ops: model.R, Type: model.Integer},
	{ID: 12, Name: "LAC", Ops: model.R, Type: model.Integer},
	{ID: 13, Name: "Coverage Enhancement Level", Ops: model.R, Type: model.Integer},
}}

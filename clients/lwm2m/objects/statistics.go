package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the statistics object that the code uses.
const (
	StatisticsSMSSent        = 0
	StatisticsSMSReceived    = 1
	StatisticsSent           = 2
	StatisticsReceived       = 3
	StatisticsMaxMessage     = 4
	StatisticsAverageMessage = 5
	StatisticsStart          = 6
	StatisticsStop           = 7
	StatisticsPeriod         = 8
)

// Statistics counts what the device sends and receives (appendix E.8).
var Statistics = &model.Object{ID: 7, Name: "Connectivity Statistics", Resources: []model.Resource{
	{ID: StatisticsSMSSent, Name: "SMS Tx Counter", Ops: model.R, Type: model.Integer},
	{ID: StatisticsSMSReceived, Name: "SMS Rx Counter", Ops: model.R, Type: model.Integer},
	{ID: StatisticsSent, Name: "Tx Data", Ops: model.R, Type: model.Integer},
	{ID: StatisticsReceived, Name: "Rx Data", Ops: model.R, Type: model.Integer},
	{ID: StatisticsMaxMessage, Name: "Max Message Size", Ops: model.R, Type: model.Integer},
	{ID: StatisticsAverageMessage, Name: "Average Message Size", Ops: model.R, Type: model.Integer},
	{ID: StatisticsStart, Name: "Start", Ops: model.E, Mandatory: true},
	{ID: StatisticsStop, Name: "Stop", Ops: model.E, Mandatory: true},
	{ID: StatisticsPeriod, Name: "Collection Period", Ops: model.RW, Type: model.Integer},
}}

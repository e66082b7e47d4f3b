// Package azure is an IoT hub and its Device Provisioning Service as Azure
// offers them over MQTT 3.1.1.
//
// Hub answers the topics of all devices of a broker:
//
//	devices/DEVICE/messages/events/...         telemetry
//	devices/DEVICE/messages/devicebound/...    messages to the device
//	$iothub/twin/GET/?$rid=R                   read the device twin
//	$iothub/twin/PATCH/properties/reported/?$rid=R
//	$iothub/twin/res/STATUS/?$rid=R            the answers to both
//	$iothub/twin/PATCH/properties/desired/?$version=V
//	$iothub/methods/POST/NAME/?$rid=R          a direct method
//	$iothub/methods/res/STATUS/?$rid=R         its answer
//	$dps/registrations/PUT/iotdps-register/?$rid=R
//	$dps/registrations/GET/iotdps-get-operationstatus/?$rid=R&operationId=O
//	$dps/registrations/res/STATUS/?$rid=R
//
// Twin is the twin of one device, a pure state machine. Token makes the shared
// access signature that is a device's password, Verify checks one.
//
//	hub := azure.New(now, handlers)
//	err := hub.Serve(b)
//	err = hub.Desire("device", []byte(`{"interval":60}`))
//	hub.Invoke("device", "reboot", payload, func(a azure.Answer) { ... })
//
// It follows "Communicate with an IoT hub using the MQTT protocol"
// (https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub) and
// "Communicate with DPS using the MQTT protocol"
// (https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-dps). Limitations: no
// modules, no throttling (429), a registration is assigned at the first question
// after it; QoS 2, which a hub refuses, is accepted.
package azure

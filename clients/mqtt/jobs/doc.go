// Package jobs is a jobs service as AWS IoT Core offers it: the platform
// queues job documents for things, which ask for the next one, work on it and
// report how that goes.
//
// A job execution is one job on one thing; its status goes from QUEUED over
// IN_PROGRESS to SUCCEEDED, FAILED or REJECTED. Devices use, below
// $aws/things/THING/jobs/,
//
//	notify-next        told: the next execution changed
//	start-next         begin the next one: it becomes IN_PROGRESS
//	JOBID/get          describe one; $next is the next one
//	JOBID/update       report status and details
//
// with answers on the same topic + "/accepted" or "/rejected".
//
//	s := jobs.New(time.Now, func(e jobs.Execution) { ... })
//	err := s.Serve(b)
//	err = s.Create("thing", "job-1", document, 1)
//
// It follows the developer guide, "Jobs device MQTT and HTTPS APIs"
// (https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-api.html).
// Limitations: no time-outs, retries, roll-out rates or cancelling; the list of
// pending jobs (jobs/get, jobs/notify) is left out.
package jobs

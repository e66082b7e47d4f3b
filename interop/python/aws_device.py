"""A device with the AWS IoT SDK for Python, as the reference experiment used it.

It reads commands from standard input, one a line, and answers each with a line:
connect, report N, ping, received, job, disconnect. See aws_test.go.
"""
import hashlib
import json
import queue
import ssl
import sys
import urllib.request

from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTShadowClient, AWSIoTMQTTThingJobsClient
from AWSIoTPythonSDK.core.jobs.thingJobManager import (
    jobExecutionStatus, jobExecutionTopicReplyType as reply, jobExecutionTopicType as topic)

name, host, keep_alive, ca, cert, key = sys.argv[1:]
answers = queue.Queue()   # of the shadow
confirmed = queue.Queue() # reports
commands = queue.Queue()  # on the plain topic
jobs = queue.Queue()      # started
news = queue.Queue()      # of jobs
updates = queue.Queue()   # of jobs, answered


def into(q):
    return lambda client, userdata, message: q.put(json.loads(message.payload))


def answered(payload, status, token):
    answers.put((status, payload))


def observed(n):
    """The observed object: the layout, and so the size, that our device reports."""
    reading = {
        "string_value": "An observed object: a text of some sixty characters, no more.",
        "integer_value": n, "float_value": 20.5 + n, "boolean_value": n % 2 == 0,
    }
    return {"objects": {"33650": {"instances": {"0": reading}}}}


def update(reported):
    shadow.shadowUpdate(json.dumps({"state": {"reported": reported}}), answered, 20)
    status, _ = answers.get(timeout=20)
    assert status == "accepted", status


def report(n):
    """Publishes the document as it is. The experiment's updates were longer than
    their confirmations, which carry more: so they had white space, which
    shadowUpdate takes out."""
    token = "%s_%s_%05d_abcde" % (name, name, n)
    document = json.dumps({"state": {"reported": observed(n)}, "clientToken": token}, indent=4)
    connection.publish("$aws/things/%s/shadow/update" % name, document, 0)
    confirmed.get(timeout=20)


def connect():
    assert client.connect(keepAliveIntervalSecond=int(keep_alive))
    job_client.createJobSubscription(into(news), topic.JOB_NOTIFY_NEXT_TOPIC)
    job_client.createJobSubscription(into(jobs), topic.JOB_START_NEXT_TOPIC, reply.JOB_ACCEPTED_REPLY_TYPE)
    job_client.createJobSubscription(into(jobs), topic.JOB_START_NEXT_TOPIC, reply.JOB_REJECTED_REPLY_TYPE)
    job_client.createJobSubscription(into(updates), topic.JOB_UPDATE_TOPIC, reply.JOB_ACCEPTED_REPLY_TYPE, "+")
    job_client.createJobSubscription(into(updates), topic.JOB_UPDATE_TOPIC, reply.JOB_REJECTED_REPLY_TYPE, "+")
    shadow.shadowRegisterDeltaCallback(answered)
    shadow.shadowGet(answered, 20)
    answers.get(timeout=20)  # there is none yet: rejected
    update({"device": {"manufacturer": "thinlink", "model_number": "reference device", "serial_number": name,
                       "firmware_version": "1.0.0", "hardware_version": "1.0"}})
    job_client.sendJobsStartNext({"step": "download"})
    jobs.get(timeout=20)
    connection.subscribe("$aws/things/%s/shadow/update/accepted" % name, 0, into(confirmed))
    report(0)


def job():
    """Does the next job: downloads the image, reports success."""
    news.get(timeout=20)
    job_client.sendJobsStartNext({"step": "download"})
    execution = jobs.get(timeout=20)["execution"]
    document = execution["jobDocument"]
    context = ssl.create_default_context(cafile=ca)
    image = urllib.request.urlopen(document["url"], context=context).read()
    assert hashlib.sha256(image).hexdigest() == document["sha256"]
    job_client.sendJobsUpdate(execution["jobId"], jobExecutionStatus.JOB_EXECUTION_SUCCEEDED,
                              {"step": "downloaded"}, execution["versionNumber"], execution["executionNumber"])
    updates.get(timeout=20)
    news.get(timeout=20)  # there is no other
    return len(image)


client = AWSIoTMQTTShadowClient(name)
client.configureEndpoint(host, 8883)
client.configureCredentials(ca, key, cert)
client.configureConnectDisconnectTimeout(20)
client.configureMQTTOperationTimeout(20)
connection = client.getMQTTConnection()
job_client = AWSIoTMQTTThingJobsClient(name, name, QoS=0, awsIoTMQTTClient=connection)
shadow = client.createShadowHandlerWithName(name, True)

print("ready", flush=True)
for line in sys.stdin:
    command, *args = line.split()
    result = ""
    if command == "connect":
        connect()
    elif command == "subscribe":
        connection.subscribe(args[0], 0, into(commands))
    elif command == "report":
        report(int(args[0]))
    elif command == "delta":  # what the platform desires
        status, payload = answers.get(timeout=20)
        result = json.loads(payload)["state"]["command"]
    elif command == "received":
        result = commands.get(timeout=20)["command"]
    elif command == "job":
        result = job()
    elif command == "disconnect":
        client.disconnect()
    print("done", line.strip(), result, flush=True)

"""A device with the Azure IoT device SDK for Python.

Arguments: name, host, key in base64, file of the CA, and, for a device without a key, files of its certificate and key.
It reads commands from standard input, one a line, and answers each with a line: register, connect, twin, report N,
method, message, update, disconnect. See azure_test.go.
"""
import hashlib
import json
import queue
import ssl
import sys
import urllib.request

from azure.iot.device import IoTHubDeviceClient, Message, MethodResponse, ProvisioningDeviceClient, X509

name, host, key, ca = sys.argv[1:5]
trust = open(ca).read()
methods, messages, patches = queue.Queue(), queue.Queue(), queue.Queue()


def register():
    service = ProvisioningDeviceClient.create_from_symmetric_key(host, name, "0ne00000001", key, server_verification_cert=trust)
    result = service.register()
    return "%s %s %s" % (result.status, result.registration_state.assigned_hub, result.registration_state.device_id)


def answer(request):
    methods.put((request.name, request.payload))
    client.send_method_response(MethodResponse.create_from_method_request(request, 200, {}))


def connect():
    client.connect()
    client.on_method_request_received = answer
    client.on_message_received = messages.put
    client.on_twin_desired_properties_patch_received = patches.put


def observed(n):
    return json.dumps({
        "string_value": "An observed object: a text of some sixty characters, no more.",
        "integer_value": n, "float_value": 20.5 + n, "boolean_value": n % 2 == 0,
    }, separators=(",", ":"))


def update():
    """Installs the firmware that the twin desires."""
    firmware = patches.get(timeout=20)["firmware"]
    document = firmware["document"]
    image = urllib.request.urlopen(document["url"], context=ssl.create_default_context(cafile=ca)).read()
    assert hashlib.sha256(image).hexdigest() == document["sha256"]
    client.patch_twin_reported_properties({"firmware": {"job": firmware["job"], "status": "SUCCEEDED"}})
    return len(image)


options = {"server_verification_cert": trust}
if len(sys.argv) > 5:
    client = IoTHubDeviceClient.create_from_x509_certificate(X509(*sys.argv[5:7]), host, name, **options)
else:
    client = IoTHubDeviceClient.create_from_symmetric_key(key, host, name, **options)

print("ready", flush=True)
for line in sys.stdin:
    command, *args = line.split()
    result = ""
    if command == "register":
        result = register()
    elif command == "connect":
        connect()
    elif command == "twin":
        client.patch_twin_reported_properties({"device": {"manufacturer": "thinlink"}})
        result = client.get_twin()["reported"]["device"]["manufacturer"]
    elif command == "report":
        message = Message(observed(int(args[0])))
        message.content_type, message.content_encoding = "application/json", "utf-8"
        client.send_message(message)
    elif command == "method":
        called, payload = methods.get(timeout=20)
        result = "%s %d" % (called, payload["command"])
    elif command == "message":
        result = json.loads(messages.get(timeout=20).data)["command"]
    elif command == "update":
        result = update()
    elif command == "disconnect":
        client.shutdown()
    print("done", line.strip(), result, flush=True)

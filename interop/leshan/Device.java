import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.californium.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.client.californium.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.client.californium.endpoint.coaps.CoapsClientProtocolProvider;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.send.ManualDataSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/**
 * A device with Leshan's client. Arguments: its address, URI, endpoint, folder of models, lifetime in seconds, and for
 * DTLS "x509" with three DER files (its certificate, its key, the server's certificate) or "psk" with identity and key.
 * With "bootstrap-" before any of them the URI is that of a bootstrap server. It obeys lines of its standard input:
 * connect, report N, command, updated, package, send FORMAT, stop.
 */
public class Device {

    static final BlockingQueue<Long> commands = new LinkedBlockingQueue<>();
    static final BlockingQueue<String> registered = new LinkedBlockingQueue<>();
    static final BlockingQueue<String> updated = new LinkedBlockingQueue<>();
    static final BlockingQueue<String> packages = new LinkedBlockingQueue<>();

    /** The observed object of the reference experiment. */
    public static class Reading extends BaseInstanceEnabler {
        volatile long integer = 1;

        @Override
        public ReadResponse read(LwM2mServer server, int id) {
            switch (id) {
            case 0:
                return ReadResponse.success(id, "An observed object: a text of some sixty characters, no more.");
            case 1:
                return ReadResponse.success(id, integer);
            case 2:
                return ReadResponse.success(id, 20.5 + integer);
            case 3:
                return ReadResponse.success(id, integer % 2 == 0);
            }
            return ReadResponse.notFound();
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int id, LwM2mResource value) {
            if (id != 4)
                return WriteResponse.notFound();
            commands.add((Long) value.getValue());
            return WriteResponse.success();
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return Arrays.asList(0, 1, 2, 3, 4);
        }

        void set(long n) {
            integer = n;
            fireResourcesChange(getResourcePaths(1, 2, 3));
        }
    }

    /** Object 5 with pull over CoAP and push; nothing is installed. */
    public static class Firmware extends BaseInstanceEnabler {
        volatile long state = 0, result = 0;
        volatile String uri = "";

        @Override
        public ReadResponse read(LwM2mServer server, int id) {
            switch (id) {
            case 1:
                return ReadResponse.success(id, uri);
            case 3:
                return ReadResponse.success(id, state);
            case 5:
                return ReadResponse.success(id, result);
            case 9:
                return ReadResponse.success(id, 2L);
            }
            return ReadResponse.notFound();
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int id, LwM2mResource value) {
            if (id == 0) {
                byte[] data = (byte[]) value.getValue();
                if (data.length <= 1)
                    become(0, 0);
                else
                    take(data);
            } else if (id == 1) {
                uri = (String) value.getValue();
                become(uri.isEmpty() ? 0 : 1, 0);
                if (!uri.isEmpty())
                    new Thread(this::download).start();
            } else {
                return WriteResponse.notFound();
            }
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int id, Arguments arguments) {
            if (id != 2 || state != 2)
                return ExecuteResponse.methodNotAllowed();
            become(0, 1);
            return ExecuteResponse.success();
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return Arrays.asList(0, 1, 2, 3, 5, 9);
        }

        void become(long state, long result) {
            this.state = state;
            this.result = result;
            fireResourcesChange(getResourcePaths(3, 5));
        }

        void take(byte[] data) {
            try {
                StringBuilder hex = new StringBuilder();
                for (byte b : MessageDigest.getInstance("SHA-256").digest(data))
                    hex.append(String.format("%02x", b));
                packages.add(hex.toString());
                become(2, 0);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }

        void download() {
            CoapEndpoint endpoint = CoapEndpoint.builder().setConfiguration(large(new Configuration())).build();
            CoapClient client = new CoapClient(uri).setEndpoint(endpoint).setTimeout(60_000L);
            try {
                CoapResponse response = client.get();
                if (response != null && response.isSuccess())
                    take(response.getPayload());
                else
                    become(0, 4);
            } catch (Exception e) {
                become(0, 7);
            } finally {
                endpoint.destroy();
            }
        }
    }

    static Configuration large(Configuration c) {
        c.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 4 << 20);
        c.set(CoapConfig.PREFERRED_BLOCK_SIZE, 1024);
        return c;
    }

    static byte[] file(String name) throws Exception {
        return Files.readAllBytes(Paths.get(name));
    }

    static Security security(String uri, String[] a) throws Exception {
        switch (a.length > 5 ? a[5] : "nosec") {
        case "psk":
            return Security.psk(uri, 1, a[6].getBytes(), a[7].getBytes());
        case "x509":
            return Security.x509(uri, 1, file(a[6]), file(a[7]), file(a[8]));
        case "bootstrap-nosec":
            return Security.noSecBootstrap(uri);
        case "bootstrap-psk":
            return Security.pskBootstrap(uri, a[6].getBytes(), a[7].getBytes());
        case "bootstrap-x509":
            return Security.x509Bootstrap(uri, file(a[6]), file(a[7]), file(a[8]));
        }
        return Security.noSec(uri, 1);
    }

    static <T> T next(BlockingQueue<T> queue) throws Exception {
        T v = queue.poll(20, TimeUnit.SECONDS);
        if (v == null)
            throw new IllegalStateException("nothing came in 20 s");
        return v;
    }

    public static void main(String[] args) throws Exception {
        List<ObjectModel> models = ObjectLoader.loadDefault();
        models.addAll(ObjectLoader.loadObjectsFromDir(new File(args[3]), true));
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(models));
        Reading reading = new Reading();
        objects.setInstancesForObject(0, security(args[1], args));
        if (args.length > 5 && args[5].startsWith("bootstrap"))
            objects.setClassForObject(1, Server.class);
        else
            objects.setInstancesForObject(1, new Server(1, Long.parseLong(args[4])));
        objects.setInstancesForObject(3, new SimpleInstanceEnabler(0, 0, "Leshan", 1, "client", 16, "U"));
        objects.setInstancesForObject(5, new Firmware());
        objects.setClassForObject(33650, Reading.class); // of instances that the server creates
        objects.setInstancesForObject(33650, reading);

        CaliforniumClientEndpointsProvider.Builder endpoints = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration config = large(endpoints.createDefaultConfiguration());
        config.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 0); // uses the server's, has none of its own
        endpoints.setConfiguration(config);
        endpoints.setClientAddress(InetAddress.getByName(args[0]));

        LeshanClient client = new LeshanClientBuilder(args[2]).setObjects(objects.createAll())
                .setDataSenders(new ManualDataSender()).setEndpointsProviders(endpoints.build())
                .setRegistrationEngineFactory(new DefaultRegistrationEngineFactory()).build();
        client.addObserver(new LwM2mClientObserverAdapter() {
            @Override
            public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String id) {
                registered.add(id);
            }

            @Override
            public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
                updated.add("updated");
            }
        });

        System.out.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            String[] words = line.split(" ");
            Object result = "";
            switch (words[0]) {
            case "connect":
                client.start();
                result = next(registered);
                break;
            case "report":
                reading.set(Long.parseLong(words[1]));
                break;
            case "command":
                result = next(commands);
                break;
            case "updated":
                updated.clear();
                result = next(updated);
                break;
            case "package":
                result = next(packages);
                break;
            case "send":
                LwM2mServer server = client.getRegisteredServers().values().iterator().next();
                result = client.getSendService()
                        .sendData(server, ContentFormat.fromName(words[1]), Arrays.asList("/33650/0/0", "/33650/0/1", "/33650/0/2", "/33650/0/3"), 20_000)
                        .getCode();
                break;
            case "stop":
                client.stop(true);
                break;
            }
            System.out.println("done " + line + " " + result);
        }
        client.destroy(false);
    }
}

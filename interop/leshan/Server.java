import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.core.CertificateUsage;
import org.eclipse.leshan.core.SecurityMode;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.CancelCompositeObservationRequest;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteCompositeRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.DiscoverResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadCompositeResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.util.Hex;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.bootstrap.BootstrapConfig;
import org.eclipse.leshan.server.bootstrap.InMemoryBootstrapConfigStore;
import org.eclipse.leshan.server.bootstrap.LeshanBootstrapServer;
import org.eclipse.leshan.server.bootstrap.LeshanBootstrapServerBuilder;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.CaliforniumBootstrapServerEndpointsProvider;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.coap.CoapBootstrapServerProtocolProvider;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.coaps.CoapsBootstrapServerProtocolProvider;
import org.eclipse.leshan.server.californium.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.server.californium.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.server.californium.endpoint.coaps.CoapsServerProtocolProvider;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.queue.PresenceListener;
import org.eclipse.leshan.server.queue.StaticClientAwakeTimeProvider;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.security.BootstrapSecurityStoreAdapter;
import org.eclipse.leshan.server.security.InMemorySecurityStore;
import org.eclipse.leshan.server.security.SecurityInfo;
import org.eclipse.leshan.server.send.SendListener;

/**
 * Leshan's server and bootstrap server. Arguments: address, folder of models, and three DER files: certificate, key,
 * trusted root. It obeys lines of its standard input, see obey, and answers each with "done LINE RESULT".
 */
public class Server {

    final String address;
    final InMemorySecurityStore keys = new InMemorySecurityStore();
    final InMemoryBootstrapConfigStore accounts = new InMemoryBootstrapConfigStore();
    final Map<String, BlockingQueue<String>> events = new ConcurrentHashMap<>();
    final LeshanServer server;
    final LeshanBootstrapServer bootstrap;
    volatile Registration registration;
    Observation observation;

    Server(String[] args) throws Exception {
        address = args[0];
        List<ObjectModel> models = ObjectLoader.loadDefault();
        models.addAll(ObjectLoader.loadObjectsFromDir(new File(args[1]), true));
        X509Certificate[] chain = { certificate(args[2]) }, trusted = { certificate(args[4]) };
        PrivateKey key = java.security.KeyFactory.getInstance("EC")
                .generatePrivate(new java.security.spec.PKCS8EncodedKeySpec(Files.readAllBytes(Paths.get(args[3]))));

        CaliforniumServerEndpointsProvider.Builder ends = new CaliforniumServerEndpointsProvider.Builder(
                new CoapServerProtocolProvider(), new CoapsServerProtocolProvider());
        ends.setConfiguration(configured(ends.createDefaultConfiguration()));
        ends.addEndpoint("coap://" + address + ":5683");
        ends.addEndpoint("coaps://" + address + ":5684");
        server = new LeshanServerBuilder().setEndpointsProviders(ends.build()).setSecurityStore(keys)
                .setObjectModelProvider(new VersionedModelProvider(models)).setCertificateChain(chain).setPrivateKey(key)
                .setTrustedCertificates(trusted).setClientAwakeTimeProvider(new StaticClientAwakeTimeProvider(2000)).build();
        listen();

        CaliforniumBootstrapServerEndpointsProvider.Builder bs = new CaliforniumBootstrapServerEndpointsProvider.Builder(
                new CoapBootstrapServerProtocolProvider(), new CoapsBootstrapServerProtocolProvider());
        bs.setConfiguration(configured(bs.createDefaultConfiguration()));
        bs.addEndpoint("coap://" + address + ":5783");
        bs.addEndpoint("coaps://" + address + ":5784");
        bootstrap = new LeshanBootstrapServerBuilder().setEndpointsProviders(bs.build()).setConfigStore(accounts)
                .setSecurityStore(new BootstrapSecurityStoreAdapter(keys)).setCertificateChain(chain).setPrivateKey(key)
                .setTrustedCertificates(trusted).build();
        server.start();
        bootstrap.start();
    }

    static Configuration configured(Configuration c) {
        c.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 4 << 20);
        c.set(CoapConfig.PREFERRED_BLOCK_SIZE, 1024);
        c.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 6);
        return c;
    }

    static X509Certificate certificate(String file) throws Exception {
        try (java.io.InputStream in = Files.newInputStream(Paths.get(file))) {
            return (X509Certificate) java.security.cert.CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    BlockingQueue<String> queue(String kind) {
        return events.computeIfAbsent(kind, k -> new LinkedBlockingQueue<>());
    }

    void listen() {
        server.getRegistrationService().addListener(new RegistrationListener() {
            @Override
            public void registered(Registration reg, Registration previous, Collection<Observation> observations) {
                registration = reg;
                queue("registered").add("LwM2M " + reg.getLwM2mVersion() + " " + reg.getBindingMode());
            }

            @Override
            public void updated(RegistrationUpdate update, Registration updated, Registration previous) {
                registration = updated;
                queue("updated").add(String.valueOf(updated.getSocketAddress()));
            }

            @Override
            public void unregistered(Registration reg, Collection<Observation> observations, boolean expired, Registration next) {
                queue("unregistered").add("");
            }
        });
        server.getPresenceService().addListener(new PresenceListener() {
            @Override
            public void onAwake(Registration reg) {
                queue("awake").add("");
            }

            @Override
            public void onSleeping(Registration reg) {
                queue("sleeping").add("");
            }
        });
        server.getSendService().addListener(new SendListener() {
            @Override
            public void dataReceived(Registration reg, TimestampedLwM2mNodes data, SendRequest request) {
                queue("send").add(data.getNodes().toString());
            }

            @Override
            public void onError(Registration reg, String message, Exception error) {
                queue("send").add("error " + message + " " + error);
            }
        });
        server.getObservationService().addListener(new ObservationListener() {
            @Override
            public void newObservation(Observation o, Registration reg) {
            }

            @Override
            public void cancelled(Observation o) {
            }

            @Override
            public void onResponse(SingleObservation o, Registration reg, ObserveResponse response) {
                queue("notification").add(String.valueOf(response.getContent()));
            }

            @Override
            public void onResponse(CompositeObservation o, Registration reg, ObserveCompositeResponse response) {
                queue("notification").add(String.valueOf(response.getContent()));
            }

            @Override
            public void onError(Observation o, Registration reg, Exception error) {
                queue("notification").add("error " + error);
            }
        });
    }

    /** A value as the command writes it: an integer, a number with a point, true or false, else a string. */
    static Object value(String s) {
        if (s.matches("-?\\d+"))
            return Long.valueOf(s);
        if (s.matches("-?\\d+\\.\\d+"))
            return Double.valueOf(s);
        if (s.equals("true") || s.equals("false"))
            return Boolean.valueOf(s);
        return s;
    }

    static LwM2mResource resource(int id, Object value) {
        if (value instanceof String && ((String) value).startsWith("0x")) // opaque, of a resource with instances
            return LwM2mMultipleResource.newBinaryResource(id,
                    Collections.singletonMap(0, Hex.decodeHex(((String) value).substring(2).toCharArray())));
        return LwM2mSingleResource.newResource(id, value);
    }

    static Map<String, String> pairs(String[] words, int from) {
        Map<String, String> all = new LinkedHashMap<>();
        for (String word : Arrays.copyOfRange(words, from, words.length))
            all.put(word.substring(0, word.indexOf('=')), word.substring(word.indexOf('=') + 1));
        return all;
    }

    DownlinkRequest<? extends LwM2mResponse> request(String[] w) throws Exception {
        ContentFormat format = w.length > 1 ? ContentFormat.fromName(w[1]) : null;
        String[] rest = Arrays.copyOfRange(w, Math.min(2, w.length), w.length);
        switch (w[0]) {
        case "read": // FORMAT PATH
            return new ReadRequest(format, w[2]);
        case "write": // FORMAT PATH VALUE
        case "update": {
            LwM2mPath path = new LwM2mPath(w[2]);
            if (w[0].equals("write"))
                return new WriteRequest(WriteRequest.Mode.REPLACE, format, path, resource(path.getResourceId(), value(w[3])));
            return new WriteRequest(WriteRequest.Mode.UPDATE, format, path.getObjectId(), path.getObjectInstanceId(),
                    resource(path.getResourceId(), value(w[3])));
        }
        case "push": // PATH FILE
            LwM2mPath at = new LwM2mPath(w[1]);
            return new WriteRequest(ContentFormat.OPAQUE, at.getObjectId(), at.getObjectInstanceId(), at.getResourceId(),
                    Files.readAllBytes(Paths.get(w[2])));
        case "create": { // FORMAT OBJECT INSTANCE ID=VALUE...
            List<LwM2mResource> resources = new ArrayList<>();
            pairs(w, 4).forEach((id, v) -> resources.add(resource(Integer.parseInt(id), value(v))));
            return new CreateRequest(format, Integer.parseInt(w[2]), new LwM2mObjectInstance(Integer.parseInt(w[3]), resources));
        }
        case "delete": // PATH
            return new DeleteRequest(w[1]);
        case "discover": // PATH
            return new DiscoverRequest(w[1]);
        case "execute": // PATH
            return new ExecuteRequest(w[1]);
        case "attributes": { // PATH PMIN PMAX
            return new WriteAttributesRequest(w[1],
                    new LwM2mAttributeSet(LwM2mAttributes.create(LwM2mAttributes.MINIMUM_PERIOD, Long.valueOf(w[2])),
                            LwM2mAttributes.create(LwM2mAttributes.MAXIMUM_PERIOD, Long.valueOf(w[3]))));
        }
        case "observe": // FORMAT PATH
            return new ObserveRequest(format, w[2]);
        case "read-composite": // FORMAT PATH...
            return new ReadCompositeRequest(format, format, rest);
        case "observe-composite": // FORMAT PATH...
            return new ObserveCompositeRequest(format, format, rest);
        case "write-composite": { // FORMAT PATH=VALUE...
            Map<String, Object> values = new HashMap<>();
            pairs(w, 2).forEach((path, v) -> values.put(path, value(v)));
            return new WriteCompositeRequest(format, values);
        }
        case "cancel":
            return observation instanceof SingleObservation ? new CancelObservationRequest((SingleObservation) observation)
                    : new CancelCompositeObservationRequest((CompositeObservation) observation);
        }
        throw new IllegalArgumentException(w[0]);
    }

    Object content(LwM2mResponse response) {
        if (response instanceof ObserveResponse)
            observation = ((ObserveResponse) response).getObservation();
        if (response instanceof ObserveCompositeResponse)
            observation = ((ObserveCompositeResponse) response).getObservation();
        if (response instanceof ReadResponse)
            return ((ReadResponse) response).getContent();
        if (response instanceof ReadCompositeResponse)
            return ((ReadCompositeResponse) response).getContent();
        if (response instanceof DiscoverResponse)
            return Arrays.toString(((DiscoverResponse) response).getObjectLinks());
        return "";
    }

    Object obey(String[] w) throws Exception {
        switch (w[0]) {
        case "psk": // ENDPOINT IDENTITY KEY
            keys.add(SecurityInfo.newPreSharedKeyInfo(w[1], w[2], Hex.decodeHex(w[3].toCharArray())));
            return "";
        case "x509": // ENDPOINT
            keys.add(SecurityInfo.newX509CertInfo(w[1]));
            return "";
        case "nosec": // ENDPOINT
            keys.remove(w[1], false);
            return "";
        case "account": // ENDPOINT [IDENTITY KEY], or three DER files: certificate, key, trusted root
            accounts.add(w[1], account(w));
            return "";
        case "forget": // what wait waits for
            queue(w[1]).clear();
            return "";
        case "wait": { // registered, updated, unregistered, awake, sleeping, send, notification
            String event = queue(w[1]).poll(25, TimeUnit.SECONDS);
            if (event == null)
                throw new IllegalStateException("nothing came in 25 s");
            return event;
        }
        }
        LwM2mResponse response = server.send(registration, request(w), 20_000);
        return response == null ? "no response" : response.getCode().getName() + " " + content(response);
    }

    BootstrapConfig account(String[] w) throws Exception {
        BootstrapConfig config = new BootstrapConfig();
        config.toDelete = Arrays.asList("/0", "/1");
        BootstrapConfig.ServerConfig s = new BootstrapConfig.ServerConfig();
        s.shortId = 1;
        s.lifetime = 300;
        s.binding = EnumSet.of(BindingMode.U);
        config.servers.put(0, s);
        BootstrapConfig.ServerSecurity security = new BootstrapConfig.ServerSecurity();
        security.uri = "coap://" + address + ":5683";
        security.serverId = 1;
        security.securityMode = SecurityMode.NO_SEC;
        if (w.length > 4) {
            security.uri = "coaps://" + address + ":5684";
            security.securityMode = SecurityMode.X509;
            security.publicKeyOrId = Files.readAllBytes(Paths.get(w[2]));
            security.secretKey = Files.readAllBytes(Paths.get(w[3]));
            security.serverPublicKey = Files.readAllBytes(Paths.get(w[4]));
            security.certificateUsage = CertificateUsage.TRUST_ANCHOR_ASSERTION;
        } else if (w.length > 2) {
            security.uri = "coaps://" + address + ":5684";
            security.securityMode = SecurityMode.PSK;
            security.publicKeyOrId = w[2].getBytes();
            security.secretKey = Hex.decodeHex(w[3].toCharArray());
        }
        config.security.put(1, security);
        return config;
    }

    public static void main(String[] args) throws Exception {
        Server s = new Server(args);
        System.out.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            Object result;
            try {
                result = s.obey(line.split(" "));
            } catch (Exception e) {
                result = e.toString();
            }
            System.out.println("done " + line + " " + String.valueOf(result).replace('\n', ' '));
        }
        s.server.destroy();
        s.bootstrap.destroy();
    }
}

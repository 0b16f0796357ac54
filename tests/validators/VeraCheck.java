import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.xml.parsers.DocumentBuilderFactory;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;
import org.verapdf.pdfa.validation.profiles.Profiles;
import org.verapdf.pdfa.validation.profiles.Rule;
import org.verapdf.pdfa.validation.profiles.RuleId;
import org.verapdf.pdfa.validation.profiles.ValidationProfile;
import org.verapdf.pdfa.validation.profiles.Variable;
import org.verapdf.pdfa.validation.validators.ValidatorFactory;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/**
 * Validates PDF files with the veraPDF library, many in one process because its start takes seconds.
 *
 * <p>{@code java -cp JAR VeraCheck.java < list}, with one line {@code PROFILE<TAB>PATH} per check on standard input, for
 * example {@code ua1<TAB>a.pdf}. Writes one JSON object a line: file, profile, passed, rules, checks, failures; or file, profile,
 * error. Ends with 0 when all passed, with 1 when one did not, and with 2 when a file could not be judged.
 *
 * <p>The profiles are read from the library's own XML here, because its reader needs JAXB, which no JDK since 11 has.
 */
public final class VeraCheck {
    private static final Map<String, String> PROFILES = Map.of("ua1", "PDFUA-1", "3a", "PDFA-3A");
    private static final String FOLDER = "/org/verapdf/pdfa/validation/";

    private VeraCheck() {}

    public static void main(String[] arguments) throws Exception {
        java.util.logging.LogManager.getLogManager().reset();
        VeraGreenfieldFoundryProvider.initialise();
        Map<String, ValidationProfile> loaded = new TreeMap<>();
        int status = 0;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] told = line.split("\t", 2);
            if (!loaded.containsKey(told[0])) {
                loaded.put(told[0], load(told[0]));
            }
            status = Math.max(status, check(told[1], told[0], loaded.get(told[0])));
        }
        System.exit(status);
    }

    private static int check(String file, String name, ValidationProfile profile) {
        String head = "{\"file\":" + quote(file) + ",\"profile\":" + quote(name);
        try (InputStream in = new FileInputStream(file);
                PDFAParser parser = Foundries.defaultInstance().createParser(in, profile.getPDFAFlavour());
                PDFAValidator validator = ValidatorFactory.createValidator(profile, false)) {
            ValidationResult result = validator.validate(parser);
            System.out.println(head + ",\"passed\":" + result.isCompliant() + ",\"rules\":" + profile.getRules().size()
                    + ",\"checks\":" + result.getTotalAssertions() + ",\"failures\":[" + failures(result) + "]}");
            return result.isCompliant() ? 0 : 1;
        } catch (Exception problem) {
            System.out.println(head + ",\"error\":" + quote(problem.toString()) + "}");
            return 2;
        }
    }

    /** The first failure of each rule, by rule: the library keeps only the first hundred of one rule. */
    private static String failures(ValidationResult result) {
        Map<String, String> first = new TreeMap<>();
        for (TestAssertion found : result.getTestAssertions()) {
            if (found.getStatus() == TestAssertion.Status.FAILED) {
                String rule = found.getRuleId().getClause() + "-" + found.getRuleId().getTestNumber();
                first.putIfAbsent(rule, "{\"rule\":" + quote(rule) + ",\"message\":" + quote(found.getMessage())
                        + ",\"where\":" + quote(found.getLocation().getContext()) + "}");
            }
        }
        return String.join(",", first.values());
    }

    private static ValidationProfile load(String name) throws Exception {
        Element root = read(FOLDER + PROFILES.get(name) + ".xml").getDocumentElement();
        Set<Rule> rules = new LinkedHashSet<>();
        for (Element rule : children(root, "rule")) {
            rules.add(rule(rule));
        }
        Set<Variable> variables = new LinkedHashSet<>();
        for (Element each : children(root, "variable")) {
            variables.add(Profiles.variableFromValues(
                    each.getAttribute("name"), each.getAttribute("object"), text(each, "defaultValue"), text(each, "value")));
        }
        return Profiles.profileFromValues(PDFAFlavour.valueOf(root.getAttribute("flavour")),
                Profiles.profileDetailsFromValues(name, name, "veraPDF", new Date(0)), "", rules, variables);
    }

    private static Rule rule(Element rule) {
        Element id = children(rule, "id").iterator().next();
        RuleId key = Profiles.ruleIdFromValues(PDFAFlavour.Specification.valueOf(id.getAttribute("specification")),
                id.getAttribute("clause"), Integer.parseInt(id.getAttribute("testNumber")));
        Boolean deferred = rule.hasAttribute("deferred") ? Boolean.valueOf(rule.getAttribute("deferred")) : null;
        return Profiles.ruleFromValues(key, rule.getAttribute("object"), deferred, rule.getAttribute("tags"), text(rule, "description"),
                text(rule, "test"), Profiles.errorFromValues(text(rule, "message"), Collections.emptyList()), Collections.emptyList());
    }

    private static Document read(String resource) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        try (InputStream in = VeraGreenfieldFoundryProvider.class.getResourceAsStream(resource)) {
            return factory.newDocumentBuilder().parse(in);
        }
    }

    private static Iterable<Element> children(Element parent, String tag) {
        NodeList found = parent.getElementsByTagNameNS("*", tag);
        Set<Element> elements = new LinkedHashSet<>();
        for (int at = 0; at < found.getLength(); at++) {
            elements.add((Element) found.item(at));
        }
        return elements;
    }

    private static String text(Element parent, String tag) {
        NodeList found = parent.getElementsByTagNameNS("*", tag);
        return found.getLength() == 0 ? "" : found.item(0).getTextContent().trim();
    }

    private static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : String.valueOf(text).toCharArray()) {
            out.append(c < ' ' || c > '~' || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return out.append('"').toString();
    }
}

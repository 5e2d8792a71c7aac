import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;

/**
 * X-signature as an Android app makes it: arguments are the PEM, the session_token, the timestamp, the nonce, and
 * "default" for what the JDK makes of the document's transformation string or "sha256" for what BouncyCastle does.
 */
public final class SdkSignature {
    private static final String TRANSFORMATION = "RSA/ECB/OAEPWithSHA-256AndMGF1Padding";

    private SdkSignature() {}

    public static void main(String[] arguments) throws Exception {
        String body = arguments[0].replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
        byte[] der = Base64.getDecoder().decode(body);
        PublicKey key = KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(der));
        Cipher cipher = Cipher.getInstance(TRANSFORMATION);
        if (arguments[4].equals("sha256")) {
            cipher.init(
                    Cipher.ENCRYPT_MODE,
                    key,
                    new OAEPParameterSpec(
                            "SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
        } else {
            cipher.init(Cipher.ENCRYPT_MODE, key);
        }
        String text = "session_token=" + arguments[1] + "&timestamp=" + arguments[2] + "&nonce=" + arguments[3];
        byte[] encrypted = cipher.doFinal(text.getBytes(StandardCharsets.UTF_8));
        System.out.println(Base64.getEncoder().encodeToString(encrypted));
    }
}

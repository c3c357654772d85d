import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Runs the statements of a file in a Flink of its own. What a query gives is printed; `--parse` only plans it. */
class Run {
    public static void main(String[] arguments) throws Exception {
        boolean parse = arguments.length > 1 && arguments[1].equals("--parse");
        var flink = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        flink.getConfig().set("table.local-time-zone", "UTC");
        flink.getConfig().set("parallelism.default", "1");
        // Times of quiet partitions hold nothing up.
        flink.getConfig().set("table.exec.source.idle-timeout", "5 s");
        for (String statement : Files.readString(Path.of(arguments[0])).replaceAll("(?m)^--.*$", "").split(";")) {
            if (statement.isBlank()) {
                continue;
            }
            if (parse && statement.strip().startsWith("SELECT")) {
                System.out.println(flink.explainSql(statement));
            } else {
                flink.executeSql(statement).print();
            }
        }
    }
}

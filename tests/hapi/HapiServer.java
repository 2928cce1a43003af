import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.jobs.bulkmodify.reindex.ReindexProvider;
import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.batch2.maintenance.JobMaintenanceServiceImpl;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.MemoryBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.r4b.JpaR4BConfig;
import ca.uhn.fhir.jpa.config.r5.JpaR5Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.graphql.GraphQLProvider;
import ca.uhn.fhir.jpa.interceptor.CascadingDeleteInterceptor;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.DiffProvider;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.util.Map;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.jdbcx.JdbcConnectionPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * A HAPI FHIR JPA server over H2 in memory, as an upstream for the tests; the JVM runs this source as it is.
 * System properties: fhir (R4, R4B, R5), pagesize (20), maxpage (200).
 * Prints "READY http://127.0.0.1:PORT/fhir" once it serves, and ends at the end of its standard input,
 * so that it never outlives whoever started it.
 */
public final class HapiServer {

    @Configuration
    @Import({
        HapiJpaConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class,
        SubscriptionChannelConfig.class, ThreadPoolFactoryConfig.class
    })
    static class Config {
        @Bean
        JpaStorageSettings storageSettings() {
            JpaStorageSettings s = new JpaStorageSettings();
            // a search shows what was written just before it, not what a like search found a minute ago
            s.setReuseCachedSearchResultsForMillis(null);
            // PUT with any client id, also an all-digit one; then ids given by the server are UUIDs
            s.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);
            s.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
            s.setEnforceReferentialIntegrityOnWrite(false);
            s.setEnforceReferentialIntegrityOnDelete(false);
            s.setAllowMultipleDelete(true);
            s.setExpungeEnabled(true);
            s.setAllowContainsSearches(true);
            // a record that refers to another server is stored as it was sent
            s.setAllowExternalReferences(true);
            return s;
        }

        @Bean
        SubscriptionSettings subscriptionSettings() {
            return new SubscriptionSettings();
        }

        @Bean
        PartitionSettings partitionSettings() {
            return new PartitionSettings();
        }

        @Bean
        IBinaryStorageSvc binaryStorage() {
            return new MemoryBinaryStorageSvcImpl();
        }

        @Bean
        DataSource dataSource() {
            JdbcConnectionPool pool = JdbcConnectionPool.create("jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1", "sa", "");
            pool.setMaxConnections(30);
            return pool;
        }

        /** A bulk export takes one pass for each of its steps; by default there is one pass a minute. */
        @Bean
        Object frequentBatchPasses(IJobMaintenanceService jobs) { // runs before the scheduler starts
            ((JobMaintenanceServiceImpl) jobs).setScheduledJobFrequencyMillis(500);
            return "every 500 ms";
        }

        @Bean
        LocalContainerEntityManagerFactoryBean entityManagerFactory(
                ConfigurableListableBeanFactory beans, FhirContext ctx, JpaStorageSettings settings, DataSource db) {
            LocalContainerEntityManagerFactoryBean emf =
                    HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, ctx, settings);
            emf.setPersistenceUnitName("fhir");
            emf.setDataSource(db);
            emf.setJpaPropertyMap(Map.of(
                    "hibernate.dialect", HapiFhirH2Dialect.class.getName(),
                    "hibernate.hbm2ddl.auto", "create-only",
                    "hibernate.jdbc.batch_size", "20",
                    "hibernate.search.enabled", "false")); // no Lucene: no _text, _content
            return emf;
        }

        @Bean
        JpaTransactionManager transactionManager(EntityManagerFactory emf) {
            return new JpaTransactionManager(emf);
        }
    }

    public static void main(String[] args) throws Exception {
        String version = System.getProperty("fhir", "R4");
        AnnotationConfigApplicationContext app = new AnnotationConfigApplicationContext();
        app.register(Config.class, switch (version) {
            case "R4" -> JpaR4Config.class;
            case "R4B" -> JpaR4BConfig.class;
            case "R5" -> JpaR5Config.class;
            default -> throw new IllegalArgumentException("fhir: R4, R4B or R5, not " + version);
        });
        app.refresh();

        RestfulServer fhir = new RestfulServer(app.getBean(FhirContext.class));
        fhir.registerProviders(app.getBean(ResourceProviderFactory.class).createProviders());
        fhir.registerProviders(
                app.getBean(IJpaSystemProvider.class),
                app.getBean(BulkDataExportProvider.class),
                app.getBean(ValueSetOperationProvider.class),
                app.getBean(GraphQLProvider.class),
                app.getBean(DiffProvider.class),
                app.getBean(ReindexProvider.class));
        fhir.registerInterceptor(app.getBean(CascadingDeleteInterceptor.class));
        fhir.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                fhir,
                app.getBean(IFhirSystemDao.class),
                app.getBean(JpaStorageSettings.class),
                app.getBean(ISearchParamRegistry.class),
                app.getBean(IValidationSupport.class)));
        DatabaseBackedPagingProvider paging = app.getBean(DatabaseBackedPagingProvider.class);
        paging.setDefaultPageSize(Integer.getInteger("pagesize", 20));
        paging.setMaximumPageSize(Integer.getInteger("maxpage", 200));
        fhir.setPagingProvider(paging);

        Server jetty = new Server();
        ServerConnector connector = new ServerConnector(jetty);
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        jetty.addConnector(connector);
        ServletContextHandler root = new ServletContextHandler("/");
        root.addServlet(new ServletHolder(fhir), "/fhir/*");
        jetty.setHandler(root);
        jetty.start();
        System.out.println("READY http://127.0.0.1:" + connector.getLocalPort() + "/fhir");
        System.out.flush();
        while (System.in.read() != -1) {}
        System.exit(0);
    }
}

using SimpleChat.Hosting;

return await Server.RunAsync(args, builder => builder.AddChat());
